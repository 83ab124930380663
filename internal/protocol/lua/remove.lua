-- remove.lua: removes a hold, and calls nobody: release for a lock whose other keys are not
-- at hand. Those in line find out by polling.
--
-- KEYS  1 the hold
-- Reply 1 removed, 0 was not there; TIME
--
-- Run twice: nothing is left to remove.

return {drop(), now}
