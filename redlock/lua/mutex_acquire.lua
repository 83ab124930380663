-- mutex_acquire.lua: the quick ways to a free mutex: for anybody where nobody waits, and
-- on the only node for the one whose ticket is called. acquire.lua comes to the same.

if guard == '0' and manner ~= 'consent' then
  local info = manner == 'only' and ticket and redis.call('HGET', tickets, ticket)
  local till, allow
  if info then till, allow = string.match(info, '^%d+ (%d+) (%d+) ') end
  local called = till and tonumber(till) > now
  if called or redis.call('EXISTS', queue) == 0 then
    local known = redis.call('HMGET', meta, 'token', 'guard', 'busy')
    local clear = manner ~= 'free' or tonumber(known[3] or '0') <= now
    if called then insist() end
    if clear and not known[2] and redis.call('SET', hold, owner, 'NX', 'PX', expiry) then
      local token = mint(known[1])
      if token then
        local ago = ticket and not info and -1 or 0
        if called then
          ago = math.max(0, now + allow * 1000 - till)
          redis.call('ZREM', queue, ticket)
          redis.call('HDEL', tickets, ticket)
        end
        return {1, now, token, -1, ago}
      end
      redis.call('DEL', hold)
    end
  end
end
