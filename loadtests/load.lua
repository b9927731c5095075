-- wrk: POST the body in a file. Arguments: BODY_FILE NAME=VALUE of each header. Prints one line of results as JSON.
function init(args)
  wrk.method = "POST"
  local file = assert(io.open(args[1], "rb"))
  wrk.body = file:read("*a")
  file:close()
  for place = 2, #args do
    local name, value = args[place]:match("^([^=]+)=(.*)$")
    wrk.headers[name] = value
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('RESULT {"answers":%d,"p50_us":%.1f,"p99_us":%.1f,"errors":%d}\n', summary.requests,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
