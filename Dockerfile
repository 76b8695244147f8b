# The builder links everything statically, so that the final stage needs nothing but the binary: no shell, no libc, no
# package manager. TLS roots are not needed: the operator trusts its cluster's own authority.
FROM docker.io/library/rust:1.95-alpine AS builder
RUN apk add --no-cache musl-dev gcc make cmake perl
WORKDIR /source
COPY . .
RUN cargo build --release --locked --package moorage --bin moorage \
    && cp target/release/moorage /moorage

FROM scratch
COPY --from=builder /moorage /moorage
# A number, as Kubernetes can't tell from a name that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/moorage"]
CMD ["run"]
