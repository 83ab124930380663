-- mutex_acquire.lua: the quick way to a free mutex that nobody waits for.

if ARGV[7] == '0' and ARGV[6] ~= 'consent' and redis.call('EXISTS', queue) == 0 then
  local known = redis.call('HMGET', meta, 'token', 'guard', 'busy')
  local clear = ARGV[6] ~= 'free' or tonumber(known[3] or '0') <= now
  if clear and not known[2] and redis.call('SET', KEYS[1], owner, 'NX', 'PX', ARGV[3]) then
    local token = mint(known[1])
    if token then return {1, now, token, -1} end
    redis.call('DEL', KEYS[1])
  end
end
