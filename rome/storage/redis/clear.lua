-- Removes the whole database. ARGV: format.

local _, refusal = read_meta()
if refusal then
    return refusal
end
for _, space in ipairs(redis.call('HKEYS', name('written'))) do
    redis.call('UNLINK', name('s:' .. space), name('o:' .. space))
end
redis.call('UNLINK', META, name('log'), name('trim'), name('tokens'), name('written'), name('counters'),
    name('locks'), name('digests'))
