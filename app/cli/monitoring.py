"""monitoring: the manifests that make a cluster's Prometheus and Grafana show Decant's tests."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def monitoring(folder: Path) -> None:
    """Write the monitoring manifests into FOLDER: what scrapes Seldon's pods, rules and alerts, a Grafana dashboard.

    They follow DECANT_PROMETHEUS_NAMESPACE_LABEL and DECANT_PROMETHEUS_MATCHERS; those in manifests/monitoring are made
    without either.

    \b
    Example: python -m app monitoring ./monitoring && kubectl apply -n monitoring -k ./monitoring
    """
    from services.metrics.monitoring import files
    from services.metrics.queries import Labels
    from services.settings import load_settings

    settings = load_settings()
    labels = Labels(settings.prometheus_namespace_label, settings.prometheus_matchers)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files(labels).items():
        (folder / name).write_text(text)
        click.echo(folder / name)
