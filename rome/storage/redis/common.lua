-- Shared code, with which each script begins. KEYS[1] is the database's meta hash, whose name has the prefix
-- of all others (see layout.py). ARGV[1] is the format number of the client.
--
-- To define a function costs a tenth of a microsecond in every run of a script. So rarely used ones are files of their
-- own, and a script includes them where it needs them (`-- include NAME`, see connection.py).

local META = KEYS[1]
local PREFIX = string.sub(META, 1, -5)
local CHUNK = 3000 -- unpack() fails at 8000 values; twice as many must fit, and pairs must stay together
local FILLED = 9 -- the length of a space's field in the meta hash if the space has keys: its version, and \1
