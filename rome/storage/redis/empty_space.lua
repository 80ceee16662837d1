-- Of commit.lua: empty the space `name`. What it has gets the name `keys`, under which readers of older versions find it
-- until the commit leaves the log (past.py). Refused where somebody has locked rows, or the user may not rename keys:
-- then the client deletes key by key.
local there, field = {hash}, PREFIX .. 's:' .. keys
if not entries then
    there[2] = order
end
-- The key does not exist yet, so the server says so if it may be renamed.
local tried = redis.pcall('RENAME', field, field)
if find_locks or not (type(tried) == 'table' and string.find(tried.err or '', 'no such key', 1, true)) then
    refusal = {'conflict', space, '', format('%d', version - 1)}
end
for _, key in ipairs(there) do
    needed[#needed + 1] = key
    if call('EXISTS', key) == 1 then
        local used = redis.pcall('MEMORY', 'USAGE', key)
        size = size + (type(used) == 'number' and used or 0)
        commands[#commands + 1] = {'RENAME', key, PREFIX .. sub(key, #PREFIX + 1, #PREFIX + 2) .. keys}
    end
end
present[presents + 1], present[presents + 2] = 's:' .. keys, packed_version -- it is a space of the database
presents = presents + 2
local number = call('ZLEXCOUNT', order, '-', '+')
logs[#logs + 1] = {log, '0', packed_keys, cmsgpack.pack({number}), '', nil, name, order, {}, 0}
