"""osteorad: radiomics of bone metastases, from a DICOM export to an audited report."""

__version__ = "0.1.0"
