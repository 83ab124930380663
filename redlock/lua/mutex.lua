-- mutex.lua: the hold is the string at KEYS[1], its value the owner, its TTL the
-- lease: the layout of every SET NX PX lock.

local kind = 'w'
local holder = redis.call('GET', hold)

local function alone() return true end
local function mine() return holder == owner end
local function admits(_, called) return called == 0 and not holder end
local function left() return math.max(-1, redis.call('PTTL', hold)) end

local function take()
  redis.call('SET', hold, owner, 'PX', expiry)
  return -1
end

local function renew()
  if not holder then return 0 end
  if not mine() then return -1 end
  outlive(hold, expiry)
  return 1
end

local function drop()
  if not mine() then return 0 end
  holder = false
  return redis.call('DEL', hold)
end
