-- mutex_release.lua: the quick ways to give back a mutex: where nobody waits, and where
-- the first in line is alive and not called yet, whom it calls as queue.lua does. Where
-- it does without TIME it answers 0 for that.

if leaver == '' and redis.call('GET', KEYS[1]) == owner then
  redis.call('DEL', KEYS[1])
  local first = redis.call('ZRANGE', KEYS[3], 0, 0)[1]
  if not first then return {1, 0} end
  local info = first ~= stayer and redis.call('HGET', KEYS[4], first) or ''
  local gives, allow, rest = string.match(info, '^(%d+) 0 (%d+) (.*)$')
  if gives then
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    if tonumber(gives) > now then
      redis.call('HSET', KEYS[4], first,
        string.format('%s %.0f %s %s', gives, now + allow * 1000, allow, rest))
      local channel = string.sub(rest, 3)
      if channel ~= '' then redis.pcall('PUBLISH', channel, first) end
      return {1, now}
    end
  end
end
