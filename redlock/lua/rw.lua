-- rw.lua: the writer is a string, as in mutex.lua. Readers are members of a sorted set,
-- one per acquisition, scored with the server's time in ms at which that one's lease ends.
-- param is 'w' or 'r'; an entry of the other kind is never "mine". KEYS[3] is the hold of
-- the other kind.

local kind = param
local writers, readers = hold, KEYS[3]
if kind == 'r' then writers, readers = KEYS[3], hold end
local writer = writers and redis.call('GET', writers)

local function alone(kd) return kd == 'w' end

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
  if writer then return math.max(-1, redis.call('PTTL', writers)) end
  local longest = redis.call('ZRANGE', readers, -1, -1, 'WITHSCORES')[2]
  return longest and tonumber(longest) - nowms or -1
end

local function take()
  if kind == 'w' then
    redis.call('SET', writers, owner, 'PX', expiry)
  else
    redis.call('ZADD', readers, text(nowms + expiry), owner)
    outlive(readers, expiry)
  end
  return -1
end

local function renew()
  if not mine() then return writer and -1 or 0 end
  outlive(hold, expiry)
  if kind == 'r' then
    local ends = tonumber(redis.call('ZSCORE', readers, owner))
    redis.call('ZADD', readers, text(math.max(ends, nowms + expiry)), owner)
  end
  return 1
end

local function drop()
  if kind == 'r' then return redis.call('ZREM', readers, owner) end
  if not mine() then return 0 end
  writer = false
  return redis.call('DEL', writers)
end
