-- mutex_acquire.lua: the quick ways to a free mutex: for anybody where nobody waits, and
-- on the only node for the one whose ticket is called. acquire.lua comes to the same.

if ARGV[7] == '0' and ARGV[6] ~= 'consent' then
  local info = ARGV[6] == 'only' and ARGV[8] and redis.call('HGET', tickets, ARGV[8])
  local till = info and string.match(info, '^%d+ (%d+) ')
  local called = till and tonumber(till) > now
  if called or redis.call('EXISTS', queue) == 0 then
    local known = redis.call('HMGET', meta, 'token', 'guard', 'busy')
    local clear = ARGV[6] ~= 'free' or tonumber(known[3] or '0') <= now
    if clear and not known[2] and redis.call('SET', KEYS[1], owner, 'NX', 'PX', ARGV[3]) then
      local token = mint(known[1])
      if token then
        if called then
          redis.call('ZREM', queue, ARGV[8])
          redis.call('HDEL', tickets, ARGV[8])
        end
        return {1, now, token, -1}
      end
      redis.call('DEL', KEYS[1])
    end
  end
end
