"""DICOM headers of a patient, a study and its equipment, with identity in every place where hospitals leave it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from osteorad.cohort.config import Phantom
from osteorad.phantom.facts import Facts, facts_of, generator
from osteorad.phantom.identity import Person, Plants, age_text, person_of
from osteorad.provenance import digest

MAKERS = {
    "siemens": ("SIEMENS", "Biograph 64 Vision", "VG76A"),
    "ge": ("GE MEDICAL SYSTEMS", "Discovery MI", "pet_coreload.59"),
    "philips": ("Philips Medical Systems", "Ingenuity TF PET/CT", "4.1.0"),
}
CHARSETS = {"siemens": "ISO_IR 100", "ge": "ISO_IR 192", "philips": "ISO_IR 100"}
IMPLICIT = {"siemens": False, "ge": True, "philips": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One session on paper: who, when, where, under which numbers."""

    facts: Facts
    person: Person
    plants: Plants
    session: int
    when: datetime
    offset: tuple[float, float, float]  # where the body's centre lies in scanner coordinates, mm LPS
    root: str

    @property
    def implicit(self) -> bool:
        """True where this vendor writes implicit value representations."""
        return IMPLICIT[self.facts.vendor]

    @property
    def charset(self) -> str:
        """Specific character set of this vendor."""
        return CHARSETS[self.facts.vendor]

    @property
    def study_uid(self) -> str:
        """Study Instance UID."""
        return f"{self.root}.{self.session + 1}"

    @property
    def frame_uid(self) -> str:
        """Frame of Reference UID that CT and PET share."""
        return f"{self.study_uid}.0"

    def series_uid(self, series: int) -> str:
        """Series Instance UID."""
        return f"{self.study_uid}.{series}"

    def sop_uid(self, series: int, instance: int) -> str:
        """SOP Instance UID."""
        return f"{self.study_uid}.{series}.{instance}"


def visit_of(settings: Phantom, number: int, session: int, plants: Plants) -> Visit:
    """The session on paper."""
    facts, person = facts_of(settings, number), person_of(settings, number)
    rng = generator(settings, number, f"visit/{session}")
    day = session_day(settings, number, session)
    clock = time(int(rng.integers(8, 15)), int(rng.integers(0, 60)), int(rng.integers(0, 60)))
    # other settings are other images; a mask beside them makes them no others
    which = int(digest(settings.model_dump(mode="json", exclude={"bone"}))[:6], 16) + 1
    root = f"1.2.826.0.1.3680043.8.498.{person.birth:%Y%m%d}.{person.code}"
    plants.text("UID", root)
    return Visit(
        facts=facts,
        person=person,
        plants=plants,
        session=session,
        when=datetime.combine(day, clock),
        offset=(
            round(float(rng.uniform(-4, 4)), 2),
            round(float(rng.uniform(-160, -120)), 2),
            round(float(rng.uniform(-1300, -300)), 1),
        ),
        root=f"{root}.{which}",
    )


def session_day(settings: Phantom, number: int, session: int) -> date:
    """Day of a session: a few days after the index date, the second some months later."""
    rng = generator(settings, number, "calendar")
    first, later = int(rng.integers(0, 15)), int(rng.integers(80, 180))
    return person_of(settings, number).index + timedelta(days=first + (later if session else 0))


def clock_text(moment: datetime) -> str:
    """Time of day as DICOM writes it."""
    return moment.strftime("%H%M%S")


def base(visit: Visit, *, modality: str, series: int, description: str, moment: datetime) -> Dataset:
    """Patient, study, series and equipment modules, with planted identity."""
    ds = Dataset()
    ds.SpecificCharacterSet = visit.charset
    _patient(ds, visit)
    _study(ds, visit)
    ds.Modality = modality
    ds.SeriesInstanceUID = visit.series_uid(series)
    ds.SeriesNumber = series
    ds.SeriesDate = visit.plants.day(moment.date())
    ds.SeriesTime = clock_text(moment)
    ds.SeriesDescription = f"{description} {visit.person.plain_surname}"
    _equipment(ds, visit, modality)
    return ds


def _patient(ds: Dataset, visit: Visit) -> None:
    person, facts, plant = visit.person, visit.facts, visit.plants.text
    plant("(0010,0010)", person.surname)
    plant("(0010,0010) given", person.given)
    ds.PatientName = person.dicom_name
    ds.PatientID = plant("(0010,0020)", facts.source_patient_id)
    ds.PatientBirthDate = plant("(0010,0030)", f"{person.birth:%Y%m%d}")
    ds.PatientSex = "F" if facts.female else "M"
    ds.PatientAge = age_text(facts)
    ds.PatientWeight = facts.weight_kg
    ds.PatientSize = facts.height_m
    ds.add_new(0x00101000, "LO", plant("(0010,1000)", person.token("OLDID")))
    ds.PatientAddress = plant("(0010,1040)", f"{person.street}, {person.town}")
    ds.PatientTelephoneNumbers = plant("(0010,2154)", person.phone)
    ds.PatientMotherBirthName = plant("(0010,1060)", person.token("Mother"))
    ds.Occupation = plant("(0010,2180)", person.token("EMPLOYER"))
    ds.AdditionalPatientHistory = f"Breast cancer. Brought by {plant('(0010,21B0)', person.token('Husband'))}."
    ds.PatientComments = f"Lives at {plant('(0010,4000)', person.street)}, call before 9"
    ds.MilitaryRank = plant("(0010,1080)", person.token("RANK"))
    ds.EthnicGroup = "unknown"


def _study(ds: Dataset, visit: Visit) -> None:
    person, plant = visit.person, visit.plants.text
    ds.StudyInstanceUID = visit.study_uid
    ds.StudyDate = visit.plants.day(visit.when.date())
    ds.StudyTime = clock_text(visit.when)
    ds.AccessionNumber = plant("(0008,0050)", person.token(f"ACC{visit.session}"))
    ds.StudyID = plant("(0020,0010)", person.token(f"STU{visit.session}"))
    ds.ReferringPhysicianName = plant("(0008,0090)", person.physician)
    ds.NameOfPhysiciansReadingStudy = plant("(0008,1060)", person.radiologist)
    ds.RequestingPhysician = plant("(0032,1032)", person.token("Requester"))
    ds.StudyDescription = f"PET/CT thorax for {plant('(0008,1030)', person.plain_surname)}"
    ds.RequestedProcedureDescription = f"Staging, see letter {plant('(0032,1060)', person.token('LETTER'))}"
    request = Dataset()
    request.RequestedProcedureID = plant("(0040,0275)>(0040,1001)", person.token("REQ"))
    request.RequestedProcedureDescription = f"by fax from {plant('(0040,0275)>(0032,1060)', person.token('Fax'))}"
    request.ScheduledProcedureStepDescription = plant("(0040,0275)>(0040,0007)", person.token("STEP"))
    request.ScheduledProcedureStepID = plant("(0040,0275)>(0040,0009)", person.token("SPS"))
    ds.RequestAttributesSequence = Sequence([request])
    related = Dataset()
    related.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"
    related.ReferencedSOPInstanceUID = f"{visit.root}.9.{visit.session}"
    ds.ReferencedStudySequence = Sequence([related])
    before = Dataset()
    before.PatientName = f"{plant('(0400,0561)>(0400,0550)>(0010,0010)', person.token('Maiden'))}^{person.given}"
    before.PatientID = plant("(0400,0561)>(0400,0550)>(0010,0020)", person.token("FORMERID"))
    change = Dataset()
    change.ModifiedAttributesSequence = Sequence([before])
    change.AttributeModificationDateTime = f"{visit.plants.day(visit.when.date())}180000"
    change.ModifyingSystem = plant("(0400,0561)>(0400,0563)", person.token("PACS"))
    change.SourceOfPreviousValues = plant("(0400,0561)>(0400,0564)", person.token("RIS"))
    change.ReasonForTheAttributeModification = "COERCE"
    ds.OriginalAttributesSequence = Sequence([change])


def _equipment(ds: Dataset, visit: Visit, modality: str) -> None:
    person, plant = visit.person, visit.plants.text
    ds.Manufacturer, ds.ManufacturerModelName, ds.SoftwareVersions = MAKERS[visit.facts.vendor]
    ds.InstitutionName = plant("(0008,0080)", person.hospital)
    ds.InstitutionAddress = plant("(0008,0081)", f"Hospital Road {person.code % 90 + 1}, {person.town}")
    ds.InstitutionalDepartmentName = plant("(0008,1040)", person.token("DEPT"))
    ds.StationName = plant("(0008,1010)", person.token(f"{modality}ST"))
    ds.DeviceSerialNumber = plant("(0018,1000)", person.serial)
    ds.OperatorsName = plant("(0008,1070)", person.operator)
    ds.PerformingPhysicianName = plant("(0008,1050)", person.token("Performer"))
    code = Dataset()
    code.CodeValue = plant("(0008,1072)>(0040,1101)>(0008,0100)", person.token("OPID"))
    code.CodingSchemeDesignator = "99HOSP"
    code.CodeMeaning = plant("(0008,1072)>(0040,1101)>(0008,0104)", person.token("Opname"))
    who = Dataset()
    who.InstitutionName = plant("(0008,1072)>(0008,0080)", person.token("INST"))
    who.PersonIdentificationCodeSequence = Sequence([code])
    ds.OperatorIdentificationSequence = Sequence([who])
    ds.ProtocolName = f"Thorax {plant('(0018,1030)', person.token('PROT'))}"
    ds.PerformedProcedureStepStartDate = visit.plants.day(visit.when.date())
    ds.PerformedProcedureStepStartTime = clock_text(visit.when)
    ds.PerformedProcedureStepID = plant("(0040,0253)", person.token("PPS"))
    ds.PerformedProcedureStepDescription = f"PET/CT {plant('(0040,0254)', person.token('PPSD'))}"


def private_identity(ds: Dataset, visit: Visit, modality: str) -> None:
    """Private elements with identity as each vendor has them, one block without creator, one creator with identity."""
    person, plant = visit.person, visit.plants.text
    text = plant(f"private {modality} text", person.token(f"PRIV{modality}"))
    raw = plant(f"private {modality} bytes", person.token(f"RAW{modality}")).encode()
    if visit.facts.vendor == "siemens":
        ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", _even(b"SV10" + raw))
        ds.private_block(0x0051, "SIEMENS MR HEADER", create=True).add_new(0x13, "SH", text)
    elif visit.facts.vendor == "ge":
        block = ds.private_block(0x0009, "GEMS_IDEN_01", create=True)
        block.add_new(0x02, "SH", text)
        block.add_new(0x30, "SH", plant("(0009,xx30)", person.token("SUITE")))
        ds.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x28, "OB", _even(raw))
    else:
        inner = Dataset()
        inner.PatientID = plant("private sequence>(0010,0020)", person.token("NESTED"))
        inner.SpecificCharacterSet = visit.charset
        block = ds.private_block(0x01F1, "ELSCINT1", create=True)
        block.add_new(0x01, "LO", text)
        block.add_new(0x33, "SQ", Sequence([inner]))
        ds.private_block(0x00E1, "ELSCINT1", create=True).add_new(0x40, "OB", _even(raw))
    ds.private_block(0x0077, plant("(0077,0010) creator", person.token("CREATOR")), create=True).add_new(1, "LO", "x")
    ds.add_new(0x00191234, "UN", _even(plant("(0019,1234) no creator", person.token("ORPHAN")).encode()))


def _even(content: bytes) -> bytes:
    return content + b"\x00" * (len(content) % 2)


def padding(visit: Visit) -> bytes:
    """Content of the Data Set Trailing Padding, with identity."""
    return _even(visit.plants.text("(FFFC,FFFC)", visit.person.token("TRAIL")).encode() * 2)


def preamble(visit: Visit) -> bytes:
    """The 128 bytes in front of the file, with identity."""
    return visit.plants.text("preamble", visit.person.token("PREAMBLE")).encode()


def application_title(visit: Visit) -> str:
    """Source Application Entity Title in the file meta information, with identity."""
    return visit.plants.text("(0002,0016)", visit.person.token("AE"))


def code_item(value: str, scheme: str, meaning: str) -> Dataset:
    """One item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item
