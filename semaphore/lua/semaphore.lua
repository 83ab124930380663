-- semaphore.lua: permits are members of the sorted set KEYS[1], scored with the
-- server's time in ms at which they end: the layout of DistributedLock.Redis. ARGV[2]
-- is the limit. KEYS[5], a sorted set, holds the slot of each permit of this library.

local kind = 's'
local permits, slots = KEYS[1], KEYS[5]
local limit = tonumber(param)

for _, id in ipairs(redis.call('ZRANGEBYSCORE', permits, '-inf', text(nowms))) do
  redis.call('ZREM', permits, id)
  redis.call('ZREM', slots, id)
end

local function slot() return tonumber(redis.call('ZSCORE', slots, owner) or '-1') end
local function mine() return redis.call('ZSCORE', permits, owner) ~= false end
local function admits(_, called) return redis.call('ZCARD', permits) + called < limit end

-- A foreign holder may have removed permits of ours that had ended.
local function reconcile()
  for _, id in ipairs(redis.call('ZRANGE', slots, 0, -1)) do
    if not redis.call('ZSCORE', permits, id) then redis.call('ZREM', slots, id) end
  end
end

local function waited()
  for _, info in ipairs(redis.call('HVALS', tickets)) do
    if tonumber(string.match(info, '^%d+')) > now then return true end
  end
  return false
end

-- conflict returns the limit in force if it is another one and binds: somebody of
-- this library holds or waits.
local function conflict()
  local stored = redis.call('HGET', meta, 'limit')
  if not stored or stored == param then return nil end
  reconcile()
  if redis.call('EXISTS', slots) == 1 or waited() then return tonumber(stored) end
  return nil
end

local function bind()
  redis.call('HSET', meta, 'limit', param)
  outlive(meta, keep)
end

local function left()
  local first = redis.call('ZRANGE', permits, 0, 0, 'WITHSCORES')[2]
  return first and math.max(0, tonumber(first) - nowms) or 0
end

-- lowest returns the lowest free slot: slots are distinct, so the r-th is r as long
-- as no lower one is free.
local function lowest()
  local low, high = 0, redis.call('ZCARD', slots)
  while low < high do
    local mid = math.floor((low + high) / 2)
    if tonumber(redis.call('ZRANGE', slots, mid, mid, 'WITHSCORES')[2]) == mid then
      low = mid + 1
    else
      high = mid
    end
  end
  return low
end

local function take()
  local place = lowest()
  if place >= limit then
    reconcile()
    place = lowest()
  end
  redis.call('ZADD', permits, text(nowms + expiry), owner)
  redis.call('ZADD', slots, place, owner)
  outlive(permits, expiry)
  outlive(slots, expiry)
  return place
end

local function renew()
  local ends = redis.call('ZSCORE', permits, owner)
  if not ends then return 0 end
  redis.call('ZADD', permits, text(math.max(tonumber(ends), nowms + expiry)), owner)
  outlive(permits, expiry)
  outlive(slots, expiry)
  return 1
end

local function drop()
  redis.call('ZREM', slots, owner)
  return redis.call('ZREM', permits, owner)
end
