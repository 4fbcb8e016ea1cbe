# vid2vox, built on Debian 12:
#   docker build -t vid2vox .
#   docker run --rm -it vid2vox                 a shell with the programs in its path
#   docker run --rm -v "$PWD/out:/vid2vox/demo-output" vid2vox ./run demo
FROM debian:12
WORKDIR /vid2vox
COPY . .
# VID2VOX_NATIVE=OFF: the image may run on another processor than the one that builds it.
RUN ./run setup && cmake --preset release -DVID2VOX_NATIVE=OFF && ./run build && \
    rm -rf /var/lib/apt/lists/*
ENV PATH="/vid2vox/build/bin:${PATH}"
CMD ["bash"]
