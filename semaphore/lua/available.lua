-- available.lua: counts the permits that could be had now, without taking one.
--
-- Reply 1, TIME, limit less live permits, never below 0; -2, TIME, limit in force
--
-- Run twice: it changes nothing that counts.

local wrong = conflict()
if wrong then return {-2, now, wrong} end
return {1, now, math.max(0, limit - redis.call('ZCARD', permits))}
