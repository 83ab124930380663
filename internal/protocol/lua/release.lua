-- release.lua: removes a hold, and a ticket, of the ids given, then lets the next
-- ones in. Release, undo of an attempt, and leaving the line are this one script.
--
-- leaver     a ticket to remove, or empty
-- stayer     a ticket that stays in line and is not to be woken, or empty
-- Reply 1 removed, 0 was not there; TIME
--
-- Run twice: nothing is left to remove, and a head already called is not called again.

local status = drop()
if leaver ~= '' then discard(leaver) end
call(nil, stayer)
return {status, now}
