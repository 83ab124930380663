-- acquire.lua: takes the lock if it is free and it is this attempt's turn.
--
-- manner     only: there is no other node; lead: this node's queue gives the order;
--            consent: the lead has granted, here only the hold counts; free: asked
--            together with the lead, by one who does not stand in this node's line;
--            again: asked so before, and the lead has granted: nobody stands in its line
-- guard      the restart guard in ms, 0: none
-- ticket     with its lease and its allowance, in ms, and its channel; nil: does not wait
-- Reply granted  1, TIME, token, slot, called
--       refused  0, TIME, ms until it is worth coming again (-1: not known), place in line (-1: none), why, called
--         called: us since the ticket was, 0: it was not, -1: it did not stand in line
--         why: 1 held; 2 for others in line; 3 free, but for one from the lead's line, if one comes
--       -2, TIME, limit in force (semaphore)
--       -3, TIME, restart guard in force
--
-- Run twice: the second run finds the hold its own and answers as the first did; a
-- refused waiter finds its ticket in line. Where the first run's hold has been given
-- back meanwhile, it takes the lock for an owner that is gone, until its TTL ends.

local function granted(token, slot, ago) return {1, now, token, slot, ago or 0} end

if mine() then
  renew()
  -- A token of its own again: another permit may have been granted in between.
  local token = mint(counter())
  return token and granted(token, slot()) or tooFar()
end

local wrong = conflict()
if wrong then return {-2, now, wrong} end

-- A node that may have lost what it held grants nothing until that has ended.
local known = redis.call('HMGET', meta, 'guard', 'token', 'busy')
if known[1] and known[1] ~= guard then return {-3, now, tonumber(known[1])} end
if guard ~= '0' then
  if not known[1] then redis.call('HSET', meta, 'guard', guard) end
  outlive(meta, keep) -- readers, who have no token, keep it in force, too
  local info = redis.pcall('INFO', 'server')
  local uptime = type(info) == 'string' and string.match(info, 'uptime_in_seconds:(%d+)')
  if not uptime then return redis.error_reply('ERR the restart guard needs INFO, which this server hides') end
  -- The uptime is a difference of whole seconds: up to one too many.
  local rest = guard + 1000 - uptime * 1000
  if rest > 0 then
    return redis.error_reply('GUARDED this node restarted and grants nothing for another ' .. text(rest) .. ' ms')
  end
end

-- Where those who stand in the lead's line come by, one who does not must not get in
-- their way: it takes its place in the line first.
local function mark()
  redis.call('HSET', meta, 'busy', text(now + 1000000))
  outlive(meta, keep)
end
local busy = tonumber(known[3] or '0')

local free = admits(kind, 0)
local turn, called, till = free, 0, now
local kept = manner == 'free' and busy > now
if manner == 'consent' then
  insist()
  mark()
elseif manner ~= 'again' then
  if kept then
    till = busy
    turn = false
  end
  -- This node's line counts whoever asks: it is the lead's for those who know that the
  -- node before it is down.
  if turn then called, till, turn = call(ticket) end
end

if turn then
  local ago
  if ticket then
    local _, ends, allow = ticketed(ticket)
    if not ends then ago = -1 elseif ends > 0 then ago = math.max(0, now + allow * 1000 - ends) end
    discard(ticket) -- before what needs memory
  end
  local token = mint(known[2])
  if not token then return tooFar() end
  local place = take()
  bind()
  if ticket then
    if manner ~= 'only' then mark() end -- the other nodes do not have it yet
    -- Where several fit, those behind are called by the one that goes in.
    if not alone(kind) then call(nil) end
  end
  return granted(token, place, ago)
end

local place, stood = -1, 0
if ticket then
  lease = tonumber(lease)
  place = redis.call('ZRANK', queue, ticket)
  if not place then
    stood = -1
    local last = redis.call('ZRANGE', queue, -1, -1, 'WITHSCORES')[2]
    redis.call('ZADD', queue, text(math.max(now, tonumber(last or '0') + 1)), ticket)
    place = redis.call('ZCARD', queue) - 1
  end
  outlive(queue, lease) -- first: it needs no memory
  note(ticket, now + lease * 1000, 0, allowance, kind, channel)
  outlive(tickets, lease)
  bind()
  place = math.max(0, place - called)
end
if not free then return {0, now, left(), place, busy > now and 2 or 1, stood} end
-- One of those whose turn it is not comes again as soon as the call has run out, as the
-- first in line does, in case the called are dead. The others sleep on.
if ticket then
  local watch, ends = string.match(redis.call('HGET', meta, 'watch') or '', '^(%S+) (%d+)$')
  if not watch or watch == ticket or tonumber(ends) < now then
    redis.call('HSET', meta, 'watch', ticket .. ' ' .. text(till + 200000))
    outlive(meta, keep)
    place = 0
  end
end
return {0, now, till > now and math.ceil((till - now) / 1000) or -1, place, kept and 3 or 2, stood}
