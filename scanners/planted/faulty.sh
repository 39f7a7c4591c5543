#!/bin/sh
# Planted faults: an unquoted variable, and a cd that may fail.
cd "$1"
rm -rf $2
