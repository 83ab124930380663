-- repair.lua: puts a hold back on a node that has lost it, if the place is free.
-- Sent only for a lease that is valid on a majority.
--
-- Reply 1 put back or there, 0 not free; TIME
--
-- Run twice: the second run finds the hold its own. The answer is never counted as
-- proof that the hold has been there all the time.

if mine() then
  renew()
elseif admits(kind, 0) then
  take()
else
  return {0, now}
end
return raise() or {1, now}
