-- probe.lua: writes a node's index under the key of its set, if nothing is there.
--
-- KEYS  1 the set's probe key   ARGV  1 index
-- Reply 1, TIME in us, the index stored
--
-- Run twice: the second run reads what the first wrote.

-- What is there stays as long as what is written, and SET is not refused for want of memory.
redis.call('PEXPIRE', KEYS[1], 60000)
redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', 60000)
local time = redis.call('TIME')
return {1, tonumber(time[1]) * 1000000 + tonumber(time[2]), tonumber(redis.call('GET', KEYS[1]) or '-1')}
