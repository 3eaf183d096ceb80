-- For wrk: asks for random lines of the file that PATHS names.
local paths = {}
for line in io.lines(os.getenv("PATHS")) do paths[#paths + 1] = line end

function init()
    math.randomseed(os.time() + tonumber(tostring(paths):match("0x(%x+)"), 16) % 65536)
end

function request()
    return wrk.format("GET", paths[math.random(#paths)])
end
