-- rw.lua: the writer is the string at KEYS[1], as in mutex.lua. Readers are members
-- of the sorted set KEYS[5], one per acquisition, scored with the server's time in ms
-- at which that one's lease ends. ARGV[2] is 'w' or 'r'; an entry of the other kind
-- is never "mine".

local kind = param
local readers = KEYS[5]
local writer = redis.call('GET', KEYS[1])

local function mine()
  if kind == 'w' then return writer == owner end
  local ends = redis.call('ZSCORE', readers, owner)
  return ends and tonumber(ends) > nowms
end

local function admits(kd, called)
  if writer then return false end
  if kd == 'r' then return true end
  if redis.call('EXISTS', readers) == 0 then return called == 0 end
  redis.call('ZREMRANGEBYSCORE', readers, '-inf', text(nowms))
  return called == 0 and redis.call('EXISTS', readers) == 0
end

-- A reader waits for the writer, a writer also for the reader that stays longest.
local function left()
  local ms = redis.call('PTTL', KEYS[1])
  if ms < 0 then
    local longest = redis.call('ZRANGE', readers, -1, -1, 'WITHSCORES')[2]
    ms = longest and tonumber(longest) - nowms or 0
  end
  return math.max(0, ms)
end

local function take()
  if kind == 'w' then
    redis.call('SET', KEYS[1], owner, 'PX', ARGV[3])
  else
    redis.call('ZADD', readers, text(nowms + expiry), owner)
    outlive(readers, expiry)
  end
  return -1
end

local function renew()
  if not mine() then
    if kind == 'w' then return admits('w', 0) and 0 or -1 end
    return writer and -1 or 0
  end
  if kind == 'w' then
    outlive(KEYS[1], expiry)
  else
    local ends = tonumber(redis.call('ZSCORE', readers, owner))
    redis.call('ZADD', readers, text(math.max(ends, nowms + expiry)), owner)
    outlive(readers, expiry)
  end
  return 1
end

local function drop()
  if kind == 'r' then return redis.call('ZREM', readers, owner) end
  if not mine() then return 0 end
  writer = false
  return redis.call('DEL', KEYS[1])
end
