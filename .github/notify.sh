#!/usr/bin/env bash
# Sends a message to NOTIFY_WEBHOOK: Slack, Mattermost and whatever else takes {"text": ...}. Without one it says so and
# ends well, since the run is red and has opened an issue.
#
#     NOTIFY_WEBHOOK=https://... notify.sh MESSAGE
set -euo pipefail

if [ -z "${NOTIFY_WEBHOOK:-}" ]; then
    printf 'notify: NOTIFY_WEBHOOK is not set, so nobody is told by it\n'
    exit 0
fi
text=${1//\\/\\\\}
text=${text//\"/\\\"}
text=${text//$'\n'/\\n}
# The address is a secret: it goes by stdin, since arguments can be read by every process.
printf 'url = "%s"\n' "$NOTIFY_WEBHOOK" |
    curl --silent --show-error --fail --max-time 20 --retry 3 --config - \
        --header 'Content-Type: application/json' --data "{\"text\": \"$text\"}" --output /dev/null
printf 'notify: sent\n'
