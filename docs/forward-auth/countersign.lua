-- Asks Countersign about each request: HAProxy has no forward-auth of its own.
-- Needs nothing but HAProxy 2.6 or later with Lua.

local CHECK = "http://127.0.0.1:8080/forward-auth/shop"         -- EDIT: Countersign
-- Milliseconds of one try. HAProxy's HTTP client tries four times, whatever stands
-- in its configuration, so a verdict is waited for four times as long in all.
local TIMEOUT = 500

-- Headers of Countersign's answer that the guarded API gets.
local IDENTITY = {
    "x-countersign-api",
    "x-countersign-account",
    "x-countersign-login",
    "x-countersign-session",
    "x-countersign-request-id",
}

-- Headers of this connection, which are not passed on.
local OF_THIS_CONNECTION = {
    ["connection"] = true,
    ["content-length"] = true,
    ["date"] = true,
    ["keep-alive"] = true,
    ["transfer-encoding"] = true,
}

-- The only value of a header of the request; nil if there is none or several.
local function only(headers, name)
    local values = headers[name]
    if values ~= nil and values[0] ~= nil and values[1] == nil then
        return values[0]
    end
end

local function answer(txn, status, headers, body)
    local reply = txn:reply({ status = status, body = body })
    for name, values in pairs(headers) do
        if not OF_THIS_CONNECTION[name] then
            for _, value in pairs(values) do
                reply:add_header(name, value)
            end
        end
    end
    return reply
end

local function unavailable(txn)
    return answer(txn, 503, { ["retry-after"] = { "1" } }, "")
end

-- The answer to a request that may not pass; nil for one that may, which then
-- has its identity headers.
local function check(txn)
    local request = txn.http:req_get_headers()
    local asked = {
        ["x-original-method"] = { txn.sf:method() },
        ["x-original-uri"] = { txn.sf:pathq() },
        ["x-forwarded-for"] = { txn.sf:src() },
    }
    -- A credential that is there twice is sent twice, and refused.
    if request["authorization"] ~= nil then
        asked["authorization"] = {}
        for _, value in pairs(request["authorization"]) do
            table.insert(asked["authorization"], value)
        end
    end
    local client = core.httpclient()
    local verdict = client:get({ url = CHECK, headers = asked, timeout = TIMEOUT })
    if verdict == nil or verdict.status == nil then
        return unavailable(txn)
    end
    if verdict.status ~= 200 then
        local refusal = verdict.headers["x-countersign-refusal"]
        -- Only Countersign refuses with an id; anything else is not a verdict.
        if refusal == nil or verdict.status < 400 then
            return unavailable(txn)
        end
        txn:set_var("txn.countersign_refusal", refusal[0])
        return answer(txn, verdict.status, verdict.headers, verdict.body)
    end
    local uri = only(verdict.headers, "x-countersign-uri")
    if uri == nil then
        return unavailable(txn)
    end
    for _, name in ipairs(IDENTITY) do
        local value = only(verdict.headers, name)
        if value == nil then
            return unavailable(txn)
        end
        txn.http:req_set_header(name, value)
    end
    txn.http:req_del_header("authorization")
    txn.http:req_set_uri(uri)
end

core.register_action("countersign", { "http-req" }, function(txn)
    -- An error in an action would let the request pass.
    local ran, reply = pcall(check, txn)
    if not ran then
        reply = unavailable(txn)
    end
    if reply ~= nil then
        txn:done(reply)
    end
end, 0)
