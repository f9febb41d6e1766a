# One image for backend, dashboard and agent: the command chooses. Nothing secret is in it.
# BASE_IMAGE may be any Debian-like image with Python 3.11 or newer and its venv module.
ARG BASE_IMAGE=python:3.12-slim-bookworm

FROM ${BASE_IMAGE} AS build
# For networks with a certificate authority or a package index of their own; not kept in the image.
ARG PIP_CERT
ARG PIP_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
COPY locks/runtime.txt locks/runtime.txt
RUN python3 -m venv /opt/chatops \
    && /opt/chatops/bin/pip install --require-hashes --only-binary :all: -r locks/runtime.txt
COPY . .
RUN /opt/chatops/bin/pip install --no-deps --no-build-isolation .

FROM ${BASE_IMAGE}
# /data belongs to the user the containers run as; a new volume takes its owner from here.
RUN echo "chatops:x:10001:10001::/data:/usr/sbin/nologin" >> /etc/passwd \
    && echo "chatops:x:10001:" >> /etc/group \
    && install -d -m 0700 -o 10001 -g 10001 /data
ENV PATH=/opt/chatops/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    CHATOPS_HOST=0.0.0.0 CHATOPS_DATA_DIR=/data CHATOPS_SPOOL_DIR=/data/spool
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000 8050
# The backend's; docker-compose.yml says what is healthy for the others.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"CHATOPS_PORT\") or 8000}/health', timeout=4)"]
CMD ["chatops", "server"]
# Last, since it is most of the image: engines that copy whole layers do so once.
COPY --from=build /opt/chatops /opt/chatops
