#!/bin/bash
# A campaign on a cluster with Slurm, typed line by line on its login node. It needs FireWorks
# (pip install 'mlip_autopipec[fireworks]') and a MongoDB: export MONGO=mongodb://HOST:PORT
set -euo pipefail

# Once for a cluster: FireWorks' files, one folder a role. Then edit them: partition, account, modules.
mlip-auto init --hpc slurm --uri "$MONGO/fireworks"
export FW_CONFIG_FILE=$PWD/cluster/FW_config.yaml
# Not on a large one: this Slurm is quick to see a job, and its jobs give a sign of life every 5 s.
sed -i 's/^\(QUEUE_UPDATE_INTERVAL\): 5/\1: 1/; s/^\(PING_TIME_SECS\): 300/\1: 5/' cluster/FW_config.yaml

# The results go to the same server. The workers must see the same setting: Slurm passes it on.
export MLIP_AUTO_STORE_URI=$MONGO

mlip-auto submit config.yaml --launchpad cluster/my_launchpad.yaml
mlip-auto submit config.yaml --launchpad cluster/my_launchpad.yaml # again: it is there already

# One launcher a role, each with its own queue file; -m limits the jobs in the queue.
trap 'kill $(jobs -p)' EXIT
for role in oracle training exploration other; do
  mkdir -p "launches/$role"
  qlaunch -c "cluster/$role" --launch_dir "launches/$role" -r \
    rapidfire -m 4 --nlaunches infinite --sleep 1 >"launches/$role/qlaunch.log" 2>&1 &
done

until mlip-auto status >status.txt && grep -q "^campaign .*, finished:" status.txt; do sleep 2; done
mlip-auto status
mlip-auto report # run/report.html and run/potential
