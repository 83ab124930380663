-- common.lua: what the kinds and the verbs share.

expiry, keep = tonumber(expiry), tonumber(keep)
local nowms = math.floor(now / 1000)

-- outlive raises key's TTL to ms and never lowers it. It always writes, so that what follows
-- is not refused for want of memory.
local function outlive(key, ms)
  redis.call('PEXPIRE', key, text(math.max(ms, redis.call('PTTL', key))))
end

local function counter() return tonumber(redis.call('HGET', meta, 'token') or '0') end

local function tooFar()
  return redis.error_reply('ERR the fencing counter of ' .. KEYS[1] .. ' is more than a day ahead of the clock')
end

-- raise makes the counter at least the holder's token, or returns an error: a token from
-- a node whose clock is days ahead must not make this one refuse the lock for days, too.
-- A reader has none, but the restart guard that it was granted under must stay in force:
-- only under one is a reader's extension given the meta key, which need not exist otherwise.
local function raise()
  if fence == 0 then return meta and outlive(meta, keep) end
  local have = counter()
  if fence > have and fence - now > day then return tooFar() end
  store(math.max(have, fence))
end

-- What a kind may leave as it is. It must define kind, mine, alone (whether nobody goes in
-- together with such a one), admits, left (ms until the lock may be free, -1: not known),
-- take, renew, drop.
local function conflict() return nil end -- another limit that is in force
local function bind() end                -- makes this attempt's limit the one in force
local function slot() return -1 end
