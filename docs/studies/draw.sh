#!/bin/sh
# Plays the scenarios of the three studies and puts their plots here. Same version, same bytes.
# Usage: docs/studies/draw.sh [path to poolsim]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
poolsim=${1:-"cargo run --quiet --release -p poolsim --"}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root"
for study in hopping fpps-kaspa fpps-nexa alephium-chains; do
    $poolsim run "bins/poolsim/scenarios/$study.toml" --out "$work/$study"
done
cp "$work/hopping/plots/income-per-work.svg" "$here/hopping-income.svg"
cp "$work/hopping/plots/value-by-age.svg" "$here/hopping-age.svg"
cp "$work/fpps-kaspa/plots/operator.svg" "$here/fpps-kaspa-balance.svg"
cp "$work/fpps-nexa/plots/operator.svg" "$here/fpps-nexa-balance.svg"
cp "$work/fpps-nexa/plots/ruin.svg" "$here/fpps-nexa-ruin.svg"
cp "$work/alephium-chains/plots/income-per-work.svg" "$here/alephium-income.svg"
