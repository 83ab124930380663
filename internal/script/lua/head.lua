-- head.lua: what every script begins with.
--
-- KEYS  1 the hold (kind's own)   2 meta (hash)   3 queue (sorted set: ticket -> place)
--       4 tickets (hash: ticket -> what is known of it)   5 kind's own, if any
-- ARGV  1 owner   2 kind's parameter   3 expiry in ms   4 ms to keep meta
--       5 fencing token or proposal in us, 0: none   6.. the verb's own
-- Reply a flat array of integers: 1 status, 2 the server's TIME in us, 3.. the verb's own.
--
-- A script is put together from: this; the kind's quick way for the verb, if it has
-- one, which returns where the common case is at hand; common.lua; the kind; queue.lua;
-- the verb. What comes after the quick way costs nothing where that returns.

local owner, param = ARGV[1], ARGV[2]
local meta, queue, tickets = KEYS[2], KEYS[3], KEYS[4]
local proposal = tonumber(ARGV[5])

-- Read once: on some servers TIME moves within a script.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- tostring would turn a number of this size into 1.7e+15.
local function text(n) return string.format('%.0f', n) end

local day = 86400000000

-- store sets the fencing counter. It expires only when the server's own clock, which
-- is the floor of every new token, has passed it.
local function store(token)
  redis.call('HSET', meta, 'token', token == proposal and ARGV[5] or text(token))
  local ms = ARGV[4] + math.max(0, math.ceil((token - now) / 1000))
  -- Ten seconds more, so that not every grant has to raise it.
  if redis.call('PTTL', meta) < ms then redis.call('PEXPIRE', meta, text(ms + 10000)) end
end

-- mint raises the counter, whose value is given, and returns it: the client's
-- proposal, so that all nodes answer alike, unless the counter is there already or the
-- proposal is off this server's clock. nil: it is more than a day ahead of the clock.
local function mint(counter)
  if proposal == 0 then return 0 end
  local p = proposal
  if math.abs(p - now) > 1000000 then p = now end
  local token = math.max((counter or 0) + 1, p)
  if token - now > day then return nil end
  store(token)
  return token
end
