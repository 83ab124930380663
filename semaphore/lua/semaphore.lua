-- semaphore.lua: permits are members of the sorted set KEYS[1], scored with the
-- server's time in ms at which they end: the layout of DistributedLock.Redis. param
-- is the limit. KEYS[3], a sorted set, holds the slot of each permit of this library;
-- without that key a slot stays behind, for reconcile.

local kind = 's'
local permits, slots = hold, KEYS[3]
local limit = tonumber(param)

local function forget(id)
  if slots then redis.call('ZREM', slots, id) end
  return redis.call('ZREM', permits, id)
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', permits, '-inf', text(nowms))) do forget(id) end

local function slot() return tonumber(redis.call('ZSCORE', slots, owner) or '-1') end
local function alone() return false end
local function mine() return redis.call('ZSCORE', permits, owner) ~= false end
local function admits(_, called) return redis.call('ZCARD', permits) + called < limit end

-- A foreign holder may have removed permits of ours that had ended, and remove.lua leaves
-- slots.
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
  return first and tonumber(first) - nowms or -1
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

-- renew is given the slot, if it is known. Where the server has lost the limit or the slot,
-- they are put back, unless somebody has got the slot meanwhile: two with one slot must not
-- both go on.
local function renew(known)
  local ends = redis.call('ZSCORE', permits, owner)
  if not ends then return 0 end
  outlive(permits, expiry)
  if known and not redis.call('HGET', meta, 'limit') then bind() end
  if known and slot() < 0 then
    reconcile()
    if redis.call('ZRANGEBYSCORE', slots, known, known)[1] then return -1 end
    redis.call('ZADD', slots, known, owner)
  end
  redis.call('ZADD', permits, text(math.max(tonumber(ends), nowms + expiry)), owner)
  outlive(slots, expiry)
  return 1
end

local function drop() return forget(owner) end
