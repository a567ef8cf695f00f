# Built with BuildKit, which is docker's own since 23; before: DOCKER_BUILDKIT=1.
#
#   docker build --build-arg REVISION="$(git rev-parse --short=12 HEAD)" -t delta-node .
#   docker run -it --rm -v "${PWD}:/app" delta-node init
#   docker run -d --name delta_node_1 -v "${PWD}:/app" -p 6700:6700 delta-node
#
# /app holds what the original's image holds there: config/, db/, logs/, task/ and data/. The program runs as the owner of the
# directory that is mounted there (deploy/docker/entrypoint.sh), or as --user says. Nothing else is written but /tmp: the root may be
# read-only (--read-only --tmpfs /tmp). For two processors: docker buildx build --platform linux/amd64,linux/arm64 .
#
# Base images by digest: deploy/docker/pin writes into these lines what the registry has now; a release is built from pinned ones only.
ARG RUST_IMAGE=rust:1.95.0-bookworm
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim

FROM ${RUST_IMAGE} AS build
WORKDIR /src
# The image's own toolchain, so that rust-toolchain.toml does not make rustup fetch rustfmt and clippy.
ENV RUSTUP_TOOLCHAIN=1.95.0
COPY . .
ARG REVISION=""
ENV DELTA_NODE_REVISION=${REVISION}
# Checked against Cargo.lock, whose every crate has its hash. An image with the program has nothing of the cache.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin delta-node \
    && install -D -t /out target/release/delta-node \
    && ln -s delta-node /out/delta_node_start

# The onnxruntime library comes out of its Python package, which must be one of these two files; nothing else of Python is kept. Its
# name says its version.
FROM ${PYTHON_IMAGE} AS onnxruntime
ARG WHEEL_X86_64=5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f
ARG WHEEL_AARCH64=da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3
RUN echo "onnxruntime==1.31.1 --hash=sha256:${WHEEL_X86_64} --hash=sha256:${WHEEL_AARCH64}" > /wheels.txt \
    && pip install --no-cache-dir --no-deps --require-hashes --target /wheel --requirement /wheels.txt \
    && mkdir /out \
    && cp /wheel/onnxruntime/capi/libonnxruntime.so.1.31.1 /out/

FROM ${DEBIAN_IMAGE}
ARG REVISION=""
ARG VERSION=""
LABEL org.opencontainers.image.title="delta-node" \
      org.opencontainers.image.description="The node of the Delta privacy-computing network" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --home-dir /app --no-create-home --shell /usr/sbin/nologin delta \
    && install -d -o delta -g delta /app
COPY --from=build /out/ /usr/local/bin/
COPY --from=onnxruntime /out/ /usr/local/lib/
COPY deploy/docker/entrypoint.sh /usr/local/bin/docker-entrypoint.sh
ENV ORT_DYLIB_PATH=/usr/local/lib/libonnxruntime.so.1.31.1 \
    ORT_DISABLE_TELEMETRY=1
WORKDIR /app
VOLUME ["/app"]
EXPOSE 6700
HEALTHCHECK --interval=10s --timeout=10s --start-period=10s --retries=3 CMD ["docker-entrypoint.sh", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["run"]
