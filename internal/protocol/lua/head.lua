-- head.lua: what every script begins with.
--
-- KEYS  1 the hold   2 meta (hash)   3 the kind's own, if it has one
--       the last two: queue (sorted set: ticket -> place), tickets (hash: ticket -> what is
--       known of it)
-- The arguments have names, which the line before this file is made of: owner, param (the
-- kind's), expiry and keep (of meta, both in ms), fencing (a token, or a proposal in us; 0: none),
-- and the verb's own.
-- Reply a flat array of integers: 1 status, 2 the server's TIME in us, 3.. the verb's own.
--
-- A script is put together from: this; the kind's quick way for the verb, if it has
-- one, which returns where the common case is at hand; common.lua; the kind; queue.lua;
-- the verb. What comes after the quick way costs nothing where that returns.
--
-- A slot of a Redis Cluster that is being moved: a node refuses a call some of whose keys it
-- has not, and every command on a key that it has not. So extend and remove are about the
-- hold alone. They are given the first of these keys, those that stand while it is held, and
-- have no queue.lua.
--
-- A server whose memory is full refuses a command that may need some, such as SET, HSET and
-- ZADD, until the script has written; PEXPIRE, DEL, ZREM and HDEL need none, and count as
-- writing even where they change nothing. So what must never be refused writes such a thing
-- first: extend, release, remove, and acquire for one who stands in line, who takes the room
-- of its ticket and of the last hold. Others' acquire and repair may be refused. Then they
-- have written nothing, since only a first write is refused. The flag allow-oom would say it
-- in a word, but shut out servers that do not know it.

local hold, meta, queue, tickets = KEYS[1], KEYS[2], KEYS[#KEYS - 1], KEYS[#KEYS]
local fence = tonumber(fencing)

-- Read once: on some servers TIME moves within a script.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- tostring would turn a number of this size into 1.7e+15.
local function text(n) return string.format('%.0f', n) end

-- insist changes nothing, but what follows is not refused for want of memory.
local function insist() redis.call('HDEL', tickets, '') end

local day = 86400000000

-- store sets the fencing counter. It expires only when the server's own clock, which
-- is the floor of every new token, has passed it.
local function store(token)
  redis.call('HSET', meta, 'token', token == fence and fencing or text(token))
  local ms = keep + math.max(0, math.ceil((token - now) / 1000))
  -- Ten seconds more, so that not every grant has to raise it.
  if redis.call('PTTL', meta) < ms then redis.call('PEXPIRE', meta, text(ms + 10000)) end
end

-- mint raises the counter, whose value is given, and returns it: what the client
-- proposes, so that all nodes answer alike, unless the counter is there already or the
-- proposal is off this server's clock. nil: it is more than a day ahead of the clock.
local function mint(counter)
  if fence == 0 then return 0 end
  local p = fence
  if math.abs(p - now) > 1000000 then p = now end
  local token = math.max((counter or 0) + 1, p)
  if token - now > day then return nil end
  store(token)
  return token
end
