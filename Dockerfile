# A predictor behind an HTTP address:
#   docker build --build-arg PREDICTOR=my-predictor -t my-predictor .
#   docker run --rm -p 8000:8000 -e FEWSHOT_SERVE_KEY my-predictor
FROM python:3.11-slim
RUN useradd --create-home fewshot
WORKDIR /home/fewshot
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY fewshot fewshot
COPY evals evals
COPY icl icl
COPY classic classic
COPY prompts prompts
RUN pip install --no-cache-dir --constraint constraints.txt torch==2.13.0 \
    && pip install --no-cache-dir --constraint constraints.txt ".[local,serve]"
USER fewshot
# The embedded encoders, so that the container needs no network when it starts.
RUN fewshot models pull minilm e5-small
ARG PREDICTOR
COPY --chown=fewshot ${PREDICTOR} predictor
EXPOSE 8000
HEALTHCHECK CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ready')"
CMD ["fewshot", "serve", "predictor", "--host", "0.0.0.0"]
