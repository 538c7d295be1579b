#!/bin/sh
# Publishing over HTTP. Start the service first, for example with `npm run quickstart -- --stay`, and give its address:
#   sh examples/http.sh http://127.0.0.1:8080
set -eu
base=${1:-http://127.0.0.1:8080}
records=$base/v1/topics/ad-events/records

echo '# one record: the body is the value; key, id and headers are request headers'
curl -sS -w '\n%{http_code}\n' "$records" \
  -H 'content-type: application/json' -H 'spillway-key: user-1' -H 'spillway-header-source: curl' \
  -d '{"type":"click","user":"user-1"}'

echo '# many records: one result for each, in order'
printf '%s\n' \
  '{"key":"user-1","value":{"type":"impression"},"headers":{"source":"curl"}}' \
  '{"key":"user-2","value":{"type":"click"}}' |
  curl -sS -w '\n%{http_code}\n' "$records" -H 'content-type: application/x-ndjson' --data-binary @-

echo '# a record that is not what the producer takes'
curl -sS -w '\n%{http_code}\n' "$records" -H 'content-type: application/json' -d '{"type":'

echo '# readiness'
curl -sS -w '\n%{http_code}\n' "$base/readyz"
