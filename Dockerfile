# Homeostat's images: one small image for each service, all from this file.
#
#   docker build --target service --build-arg SERVICE=drift --build-arg LOCK=drift --tag homeostat/drift .
#   docker build --target inference --build-arg LOCK=inference --tag homeostat/inference-cuda .
#   docker build --target sbom --build-arg LOCK=drift --output sbom .
#
# `service` is the service named by SERVICE with the packages of locks/LOCK.txt; compose.yaml names both for every service.
# `inference` is the server with CUDA. It stands on the same slim base, not on nvidia/cuda: the CUDA libraries are wheels in
# locks/inference.txt, loaded by onnxruntime's preload_dlls, and the driver comes from the host through NVIDIA's container
# toolkit. A CUDA base would bring the same gigabytes a second time, in versions nobody tested with these wheels.
#
# Consecutive RUNs are steps of their own: another lock runs only its own again.
# hadolint global ignore=DL3059
ARG PYTHON=3.11.15-slim-bookworm
ARG SERVICE=inference
ARG LOCK=inference

# 1. The packages of one lock, every one checked against its hash, in an environment of their own; and the list of them.
FROM python:${PYTHON} AS packages
ARG LOCK
ENV DO_NOT_TRACK=1 PIP_CACHE_DIR=/cache/pip PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    UV_CACHE_DIR=/cache/uv UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never
COPY locks/uv.txt locks/sbom.txt locks/${LOCK}.txt /locks/
COPY deploy/containers/slim.py /slim/
# pip's cache is the mount, which is no part of the image.
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/cache python -m pip install --quiet --require-hashes -r /locks/uv.txt
RUN uv venv --python /usr/local/bin/python /opt/homeostat && uv venv --python /usr/local/bin/python /opt/sbom
RUN --mount=type=cache,target=/cache uv pip sync --require-hashes --python /opt/homeostat/bin/python /locks/${LOCK}.txt \
    && python /slim/slim.py /opt/homeostat/lib/python3.11/site-packages
RUN --mount=type=cache,target=/cache uv pip sync --require-hashes --python /opt/sbom/bin/python /locks/sbom.txt
RUN mkdir /sbom && /opt/sbom/bin/cyclonedx-py environment --no-validate --output-reproducible --output-format JSON \
    --output-file /sbom/${LOCK}.cdx.json /opt/homeostat/bin/python

# 2. The software bill of materials alone, to be exported.
FROM scratch AS sbom
COPY --from=packages /sbom/ /

# 3. What every image stands on: a user without a shell, without pip, with the folders that volumes are mounted on. A new volume
#    takes its owner from the folder it covers.
#    What is deleted in a layer above another still takes its room there, so that the base without pip becomes a layer of its own.
FROM python:${PYTHON} AS base
RUN python -m pip uninstall --quiet --yes --root-user-action ignore pip setuptools wheel \
    && rm -rf /usr/local/lib/python3.11/ensurepip
FROM scratch AS runtime
# That is the purpose here.
# hadolint ignore=DL3067
COPY --from=base / /
RUN groupadd --gid 10001 homeostat \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin homeostat \
    && install --directory --owner homeostat --group homeostat --mode 0750 /data /data/api-keys /data/demo /data/drift /data/drift-keys /data/evaluations /data/keys \
       /data/lake /data/log-keys /data/logs /data/mlflow /data/models /data/monitoring /data/projects /data/reports /data/retraining-run /data/run /data/runs /data/server-keys \
       /data/sink-run /data/spool /data/tasks
ENV PATH=/opt/homeostat/bin:/usr/local/bin:/usr/bin:/bin HOME=/tmp LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONNOUSERSITE=1 \
    BENTOML_DO_NOT_TRACK=True DO_NOT_TRACK=1 MLFLOW_DISABLE_TELEMETRY=true \
    HOMEOSTAT_HOME=/data
LABEL org.opencontainers.image.title="Homeostat" \
      org.opencontainers.image.description="Keeps a served model healthy by itself" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
STOPSIGNAL SIGTERM
USER 10001:10001

# 4. What all services have in common: the packages, their list, the shared code, and the probe of their health check.
FROM runtime AS common
ARG SERVICE
ARG LOCK
LABEL org.opencontainers.image.ref.name="homeostat/${SERVICE}" com.homeostat.lock="locks/${LOCK}.txt"
COPY --from=packages /opt/homeostat /opt/homeostat
COPY --from=packages /sbom /sbom
COPY LICENSE /app/LICENSE
COPY deploy/__init__.py /app/deploy/
COPY deploy/containers/__init__.py deploy/containers/probe.py /app/deploy/containers/
COPY shared /app/shared

# 5. One stage for each service: only its own code, its port, its health check, its command.
FROM common AS service-inference
COPY services/__init__.py /app/services/
COPY services/inference /app/services/inference
ENV HOMEOSTAT_INFERENCE_HOST=0.0.0.0 BENTOML_HOME=/tmp/bentoml
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s --retries=3 \
    CMD ["python", "-m", "deploy.containers.probe", "http://127.0.0.1:8000/v2/health/live"]
CMD ["python", "-m", "bentoml", "serve", "services.inference.service:InferenceService"]

FROM common AS service-shipper
COPY services/__init__.py /app/services/
COPY services/prediction_log /app/services/prediction_log
ENV HOMEOSTAT_SHIPPER_HOST=0.0.0.0
EXPOSE 8001
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s --retries=3 \
    CMD ["python", "-m", "deploy.containers.probe", "http://127.0.0.1:8001/health/live"]
CMD ["python", "-m", "services.prediction_log", "shipper"]

FROM common AS service-sink
COPY services/__init__.py /app/services/
COPY services/prediction_log /app/services/prediction_log
ENV HOMEOSTAT_SINK_HOST=0.0.0.0
EXPOSE 8004
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s --retries=3 \
    CMD ["python", "-m", "deploy.containers.probe", "http://127.0.0.1:8004/health/live"]
CMD ["python", "-m", "services.prediction_log", "sink"]

FROM common AS service-drift
COPY services/__init__.py /app/services/
COPY services/drift /app/services/drift
ENV HOMEOSTAT_DRIFT_HOST=0.0.0.0
EXPOSE 8002
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s --retries=3 \
    CMD ["python", "-m", "deploy.containers.probe", "http://127.0.0.1:8002/health/ready"]
CMD ["python", "-m", "services.drift"]

FROM common AS service-retraining
COPY services/__init__.py /app/services/
COPY services/retraining /app/services/retraining
ENV HOMEOSTAT_RETRAINING_HOST=0.0.0.0 GIT_PYTHON_REFRESH=quiet ARROW_DEFAULT_MEMORY_POOL=system MALLOC_ARENA_MAX=2
EXPOSE 8003
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s --retries=3 \
    CMD ["python", "-m", "deploy.containers.probe", "http://127.0.0.1:8003/health/ready"]
CMD ["python", "-m", "services.retraining"]

# MLflow's own tracking server, without code of ours except the probe.
FROM common AS service-mlflow
ENV GIT_PYTHON_REFRESH=quiet
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s --retries=3 \
    CMD ["python", "-m", "deploy.containers.probe", "http://127.0.0.1:5000/health"]
CMD ["python", "-m", "mlflow", "server", "--host=0.0.0.0", "--port=5000", "--workers=1"]

FROM common AS service-console
COPY services/__init__.py /app/services/
COPY services/console /app/services/console
ENV HOMEOSTAT_CONSOLE_HOST=0.0.0.0
EXPOSE 8005
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s --retries=3 \
    CMD ["python", "-m", "deploy.containers.probe", "http://127.0.0.1:8005/health/live"]
CMD ["python", "-m", "services.console"]

# The command line: whatever else `homeostat` does.
FROM common AS service-cli
COPY deploy/containers/keys.py deploy/containers/topics.py deploy/containers/demo.py /app/deploy/containers/
COPY deploy/kubernetes /app/deploy/kubernetes
COPY dashboards /app/dashboards
COPY local_stack /app/local_stack
# `homeostat replay` uses the client; models are exported where they are trained.
COPY homeostat/__init__.py homeostat/logged_rows.py /app/homeostat/
COPY homeostat/client /app/homeostat/client
COPY backtest /app/backtest
COPY cli /app/cli
CMD ["python", "-m", "cli"]

# 6. The targets.
# A stage of this file, which has no tag.
# hadolint ignore=DL3006
FROM service-${SERVICE} AS service

FROM service-inference AS inference
ENV HOMEOSTAT_INFERENCE_DEVICE=cuda NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
