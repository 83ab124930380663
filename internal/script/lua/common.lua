-- common.lua: what the kinds and the verbs share.

local expiry, keep = tonumber(ARGV[3]), tonumber(ARGV[4])
local nowms = math.floor(now / 1000)

-- outlive raises key's TTL to ms and never lowers it.
local function outlive(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, text(ms)) end
end

local function counter() return tonumber(redis.call('HGET', meta, 'token') or '0') end

local function tooFar()
  return redis.error_reply('ERR the fencing counter of ' .. KEYS[1] .. ' is more than a day ahead of the clock')
end

-- raise makes the counter at least the holder's token, or returns an error: a token from
-- a node whose clock is days ahead must not make this one refuse the lock for days, too.
-- A reader has none, but the restart guard that it was granted under must stay in force.
local function raise()
  if proposal == 0 then return outlive(meta, keep) end
  local have = counter()
  if proposal > have and proposal - now > day then return tooFar() end
  store(math.max(have, proposal))
end

-- What a kind may leave as it is. It must define kind, mine, admits, left, take, renew, drop.
local function conflict() return nil end -- another limit that is in force
local function bind() end                -- makes this attempt's limit the one in force
local function slot() return -1 end
