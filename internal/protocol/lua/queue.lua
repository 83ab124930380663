-- queue.lua: who may take what is free, in the order of arrival.
--
-- A ticket is a member of queue, scored with its place: the server's TIME when it
-- came, made unique. tickets holds for it: gives up at (us), called until (us, 0:
-- not called), allowance (ms), kind, channel. A waiter renews its ticket with every
-- attempt. When the lock has room, the head is called: its channel gets a message
-- and it has its allowance to come and take; nobody else may meanwhile. A called
-- ticket whose time has passed is dropped, but only where the lock still has room.
--
-- Every step is a pure function of what is stored and of TIME, so a script that is
-- delivered twice finds its own work done.

local function ticketed(id)
  local info = redis.call('HGET', tickets, id)
  if not info then return nil end
  local gives, till, allow, kd, channel = string.match(info, '^(%d+) (%d+) (%d+) (%a) (.*)$')
  return tonumber(gives), tonumber(till), tonumber(allow), kd, channel
end

local function discard(id)
  redis.call('ZREM', queue, id)
  redis.call('HDEL', tickets, id)
end

local function note(id, gives, till, allow, kd, channel)
  redis.call('HSET', tickets, id,
    text(gives) .. ' ' .. text(till) .. ' ' .. allow .. ' ' .. kd .. ' ' .. channel)
end

-- call drops the dead from the front and calls the heads that fit. It returns how many
-- are called now, until when, and whether me may go: it is called, or nobody stands in
-- line. me is spared: a late comer that is here is not dead. shy is not called: an
-- attempt that gives back what it had must not wake itself.
local function call(me, shy)
  local called, latest, turn = 0, now, false
  while called < 128 do
    local id = redis.call('ZRANGE', queue, called, called)[1]
    if not id then
      -- Whoever comes next may go, too, if there is room for more than those called.
      return called, latest, turn or called == 0 or not alone(kind) and admits(kind, called)
    end
    local gives, till, allow, kd, channel = ticketed(id)
    if id == me then kd = kind end -- its ticket may be one that it has inherited
    if not gives or (till == 0 and gives <= now and id ~= me) then
      discard(id)
    elseif id == shy or (alone(kd) and called > 0) or not admits(kd, called) then
      break
    elseif till ~= 0 and till <= now and id ~= me then
      discard(id)
    else
      if till == 0 then
        till = now + allow * 1000
        insist()
        note(id, gives, till, allow, kd, channel)
        -- A missing right to publish must not fail a script that has already written.
        if id ~= me and channel ~= '' then redis.pcall('PUBLISH', channel, id) end
      end
      called, latest, turn = called + 1, math.max(latest, till), turn or id == me
      if alone(kd) then break end
    end
  end
  return called, latest, turn
end
