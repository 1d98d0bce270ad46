#!/usr/bin/env bash
# torchattacks pins an old `requests`; without its dependencies it leaves the environment's pins alone.
set -euo pipefail
pip install --no-deps torchattacks==3.5.1
