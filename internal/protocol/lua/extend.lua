-- extend.lua: prolongs a hold and makes the counter at least its token; also how a
-- token is written back. It never creates a hold.
--
-- slotted    the permit's slot (semaphore)
-- Reply 1 extended, 0 absent, -1 another's; TIME
--
-- Run twice: prolongs twice, from later times.

local status = renew(slotted)
local wrong = status == 1 and raise()
return wrong or {status, now}
