# One image for each service, for linux/amd64 and linux/arm64:
#   docker build --build-arg APP=pusher -t fanwire-pusher .
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg APP=pusher -t fanwire-pusher .
# VERSION, REVISION and CREATED become labels; scripts/release/release.ts passes them.
# Behind a private registry: --secret id=npmrc,src=$HOME/.npmrc (read by npm ci, never stored in a layer).
# There is no "# syntax=" line on purpose: the engine's own frontend is enough, and nothing has to be fetched for it.

ARG NODE_VERSION=24

# JavaScript is the same for every processor, so only the stage "root" runs on the one that the image is for.
FROM --platform=$BUILDPLATFORM node:$NODE_VERSION-trixie-slim AS base
WORKDIR /app

# Only what npm ci reads: an edited source file does not reach the stages below, so they stay cached.
FROM base AS manifests
COPY . .
RUN find . -type f ! -name package.json ! -name package-lock.json ! -name .npmrc -delete && find . -type d -empty -delete

# Everything, once for all services: ARG APP comes later.
FROM base AS build
ENV DO_NOT_TRACK=1 NPM_CONFIG_UPDATE_NOTIFIER=false
COPY --from=manifests /app ./
RUN --mount=type=cache,target=/root/.npm --mount=type=secret,id=npmrc,target=/root/.npmrc \
    npm ci --ignore-scripts
COPY . .
ARG APP
# What was built is the service and the packages it needs, nothing else.
RUN npx --no-install turbo run build --filter="@fanwire/$APP" && mkdir /built && cp -r --parents apps/*/dist packages/*/dist /built/

FROM base AS production
ARG APP
COPY --from=manifests /app ./
# swagger-ui-dist ships source maps and other builds of the same interface, 10 MB in all: two files are used.
RUN --mount=type=cache,target=/root/.npm --mount=type=secret,id=npmrc,target=/root/.npmrc \
    npm ci --ignore-scripts --omit=dev --workspace "@fanwire/$APP" \
    && find . -path '*/swagger-ui-dist/*' \( -name '*.map' -o -name '*.js' \) ! -name swagger-ui-bundle.js -delete
# uWebSockets.js ships a binary for every platform and Node version, 260 MB in all: one of them is used. A pusher without
# any would start nowhere, so the build fails.
ARG TARGETARCH
RUN cpu=$(echo "$TARGETARCH" | sed 's/^amd64$/x64/') \
    && find . -name 'uws_*.node' ! -name "uws_linux_${cpu}_$(node -p process.versions.modules).node" -delete \
    && if [ -d node_modules/uWebSockets.js ]; then ls node_modules/uWebSockets.js/uws_*.node; fi

# What Node and the service run on, and nothing else: no shell, no package manager, no npm. This stage has the processor of
# the image, because ldd runs the programs that it examines.
FROM node:$NODE_VERSION-trixie-slim AS root
COPY --from=production /app /app
RUN mkdir /root-fs && cp --parents "$(command -v node)" /etc/passwd /etc/group /root-fs \
    && for file in "$(command -v node)" $(find /app -name '*.node'); do ldd "$file"; done \
    | grep -oE '/[^ ]+' | sort -u | xargs cp --parents --dereference --target-directory /root-fs

FROM scratch
ARG APP
ENV NODE_ENV=production PATH=/usr/local/bin
# Dependencies and code are layers of their own: a new version of the code is a small pull.
COPY --from=root /root-fs /
COPY --from=production /app ./app
COPY --from=build /built ./app
WORKDIR /app/apps/$APP
USER node
ARG VERSION=development
ARG REVISION=unknown
ARG CREATED=unknown
# No address of a repository, because copies of it build images too: pass one by --label org.opencontainers.image.source=…
LABEL org.opencontainers.image.title="fanwire-$APP" \
      org.opencontainers.image.description="Fanwire, a push cluster on NATS: the $APP" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
# Node is PID 1: the service handles the signals itself.
ENTRYPOINT ["node"]
CMD ["--enable-source-maps", "dist/main.js"]
