#!/usr/bin/env bash
# What the pipeline does to an environment. Argo CD applies the branch deploy/ENVIRONMENT; every commit of that branch is
# one deployment: the tree of the commit that was built, with the digests of its images in the environment's overlay.
#
#     deploy.sh release ENVIRONMENT COMMIT IMAGES  deploy; IMAGES is a file of lines NAME@sha256:DIGEST
#     deploy.sh promote COMMIT                     deploy to production the digests that staging accepted for this commit
#     deploy.sh wait URL COMMIT SECONDS            until the web app there answers as this commit, 20 times in a row
#     deploy.sh accept ENVIRONMENT                 mark what is deployed as accepted, by a tag
#     deploy.sh back ENVIRONMENT                   deploy once more what was accepted before
#
# Exit codes: 0; 64: usage; 65: refused; 75: somebody else deployed meanwhile, or the web app did not answer in time.
# DEPLOY_REMOTE is the remote (origin). API_KEY is sent by `wait`, if it is set.
set -euo pipefail

remote=${DEPLOY_REMOTE:-origin}

scratch=$(mktemp -d)
tidy() {
    [ ! -e "$scratch/tree" ] || git worktree remove --force "$scratch/tree"
    rm -rf "$scratch"
}
trap tidy EXIT

stop() { # CODE MESSAGE
    printf 'deploy: %s\n' "$2" >&2
    exit "$1"
}

fetch() {
    git fetch --quiet --force --tags "$remote" '+refs/heads/deploy/*:refs/remotes/deploy/*'
}

tip() { # ENVIRONMENT: its newest deployment, or nothing
    git rev-parse --quiet --verify "refs/remotes/deploy/$1" || true
}

commit_of() { # DEPLOYMENT: the commit that was built
    git log -1 --format='%(trailers:key=Commit,valueonly,separator=%x0A)' "$1"
}

images_of() { # DEPLOYMENT
    git log -1 --format='%(trailers:key=Image,valueonly,separator=%x0A)' "$1"
}

is_accepted() { # ENVIRONMENT DEPLOYMENT
    git rev-parse --quiet --verify "refs/tags/accepted/$1/$2" >/dev/null
}

write_digests() { # FOLDER ENVIRONMENT IMAGES
    local overlay="$1/k8s/overlays/$2/kustomization.yaml" values="$1/k8s/airflow/values-$2.yaml" line name digest
    [ -f "$overlay" ] || stop 65 "there is no k8s/overlays/$2/kustomization.yaml"
    while read -r line; do
        [[ $line =~ ^([a-z0-9./-]+)@(sha256:[0-9a-f]{64})$ ]] || stop 65 "'$line' is not NAME@sha256:DIGEST"
        name=${BASH_REMATCH[1]} digest=${BASH_REMATCH[2]}
        # The line that follows the image's name.
        sed -i -E "\\|^[ -]*name: $name\$|{n; s|(newTag\|digest): .*|digest: $digest|}" "$overlay"
        if [ -f "$values" ] && [ "${name##*/}" = recjobs-jobs ]; then
            sed -i -E "s|^defaultAirflow(Tag\|Digest): .*|defaultAirflowDigest: $digest|" "$values"
        fi
    done <"$3"
    ! grep -qE '^ *newTag:' "$overlay" || stop 65 "k8s/overlays/$2/kustomization.yaml has an image without a digest"
}

push() { # ENVIRONMENT TREE SUBJECT COMMIT IMAGES
    local parent message deployment
    parent=$(tip "$1")
    message=$(printf '%s\n\nCommit: %s\n' "$3" "$4" && sed 's/^/Image: /' "$5")
    deployment=$(git commit-tree "$2" ${parent:+-p "$parent"} -m "$message")
    git push --quiet "$remote" "$deployment:refs/heads/deploy/$1" || stop 75 "deploy/$1 was moved by somebody else"
    git update-ref "refs/remotes/deploy/$1" "$deployment"
    printf '%s: %s\n' "$1" "$3"
}

release() { # ENVIRONMENT COMMIT IMAGES
    local commit tree
    commit=$(git rev-parse --verify "$2^{commit}")
    git worktree add --quiet --detach --force "$scratch/tree" "$commit"
    write_digests "$scratch/tree" "$1" "$3"
    git -C "$scratch/tree" add --all
    tree=$(git -C "$scratch/tree" write-tree)
    push "$1" "$tree" "deploy: ${commit:0:12} to $1" "$commit" "$3"
}

promote() { # COMMIT
    local commit deployment
    commit=$(git rev-parse --verify "$1^{commit}")
    for deployment in $(git rev-list --first-parent refs/remotes/deploy/staging); do
        if [ "$(commit_of "$deployment")" = "$commit" ] && is_accepted staging "$deployment"; then
            images_of "$deployment" >"$scratch/images"
            release production "$commit" "$scratch/images"
            return
        fi
    done
    stop 65 "staging has not accepted ${commit:0:12}: nothing to promote"
}

wait_for() { # URL COMMIT SECONDS
    local in_a_row=0 answer
    while ((in_a_row < 20)); do
        ((SECONDS < $3)) || stop 75 "$1 does not answer as ${2:0:12} after $3 s; the last answer: ${answer:0:200}"
        # The key goes by stdin: arguments can be read by every process.
        answer=$(printf '%s\n' "${API_KEY:+header = \"Authorization: Bearer $API_KEY\"}" |
            curl --silent --show-error --max-time 10 --config - "${1%/}/info" 2>&1) || true
        if [[ $answer == *"\"commit\":\"$2"* ]]; then
            in_a_row=$((in_a_row + 1))
            sleep 0.2
        else
            in_a_row=0
            sleep 2
        fi
    done
    printf '%s answers as %s\n' "$1" "${2:0:12}"
}

accept() { # ENVIRONMENT
    local deployment
    deployment=$(tip "$1")
    [ -n "$deployment" ] || stop 65 "nothing is deployed to $1"
    git tag --force "accepted/$1/$deployment" "$deployment" >/dev/null
    git push --quiet "$remote" "refs/tags/accepted/$1/$deployment"
    printf '%s: accepted %s\n' "$1" "$(commit_of "$deployment" | cut -c 1-12)"
}

back() { # ENVIRONMENT
    local now deployment commit
    now=$(tip "$1")
    [ -n "$now" ] || stop 65 "nothing is deployed to $1"
    for deployment in $(git rev-list --first-parent "$now"); do
        if is_accepted "$1" "$deployment" && [ "$(git rev-parse "$deployment^{tree}")" != "$(git rev-parse "$now^{tree}")" ]; then
            images_of "$deployment" >"$scratch/images"
            commit=$(commit_of "$deployment")
            push "$1" "$deployment^{tree}" "deploy: back to ${commit:0:12} in $1" "$commit" "$scratch/images"
            return
        fi
    done
    stop 65 "$1 has accepted nothing before: it stays as it is"
}

[ $# -gt 0 ] || stop 64 "usage: deploy.sh release|promote|wait|accept|back ..."
command=$1
shift
case $command:$# in
    release:3 | promote:1 | accept:1 | back:1)
        fetch
        "$command" "$@"
        ;;
    wait:3) wait_for "$@" ;;
    *) stop 64 "usage: deploy.sh release ENVIRONMENT COMMIT IMAGES | promote COMMIT | wait URL COMMIT SECONDS | accept ENVIRONMENT | back ENVIRONMENT" ;;
esac
