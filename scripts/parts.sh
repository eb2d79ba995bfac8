# Sourced by the scripts behind the make targets: runs the parts of a job, and says at its end how long each took.
# shellcheck shell=bash

PARTS_TAKEN=()
PART_NAME=
PART_START=0

# part NAME COMMAND...
part() {
    PART_NAME=$1 PART_START=$SECONDS
    shift
    printf '\n== %s\n' "$PART_NAME" >&2
    "$@"
    PARTS_TAKEN+=("$(printf '%4d s  %s' $((SECONDS - PART_START)) "$PART_NAME")")
    PART_NAME=
}

parts_summary() {
    local status=$?
    [[ -z $PART_NAME ]] || PARTS_TAKEN+=("$(printf '%4d s  %s (failed)' $((SECONDS - PART_START)) "$PART_NAME")")
    printf '\n' >&2
    printf '%s\n' "${PARTS_TAKEN[@]}" "$(printf '%4d s  in all' "$SECONDS")" >&2
    exit "$status"
}
trap parts_summary EXIT
