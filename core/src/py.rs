//! The border to Python: plain values, and Arrow by its C interface. No panic crosses it.
#![allow(unsafe_code)]

use std::panic::{catch_unwind, AssertUnwindSafe};

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::{Array as _, RecordBatch, UInt64Array};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field, FieldRef, Fields};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule};

use crate::column::Tag;
use crate::decode::{self, Batch, ORDER_KEY_LENGTH};
use crate::fold::{self, FoldError};
use crate::inflate::Corrupt;
use crate::number::NumberRange;

/// Of the border itself; `tailrace.codec.types.CODEC_CONTRACT` must be the same.
const CONTRACT: u32 = 1;

create_exception!(tailrace_core, CorruptError, PyException, "The gzip stream is damaged or cut.");
create_exception!(
    tailrace_core,
    OrderConflictError,
    PyException,
    "Two different rows have one key and one order key; args: message, first row, second row."
);

/// An array, or a record batch as a struct array, for whoever speaks the Arrow C data interface.
#[pyclass(frozen)]
struct ArrowArray {
    data: ArrayData,
    field: Field,
    /// The fields' names where one holds a NUL, which the C interface cannot carry: it stops there.
    #[pyo3(get)]
    names: Option<Vec<String>>,
}

#[pymethods]
impl ArrowArray {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        let _ = requested_schema; // a request that need not be followed
        let schema =
            FFI_ArrowSchema::try_from(&self.field).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let array = FFI_ArrowArray::new(&self.data);
        Ok((
            PyCapsule::new_with_value(py, schema, c"arrow_schema")?,
            PyCapsule::new_with_value(py, array, c"arrow_array")?,
        ))
    }
}

impl ArrowArray {
    /// The arrays may say Binary where the schema says Utf8; the layout is one, and the schema is what counts.
    fn of_batch(batch: Batch) -> PyResult<ArrowArray> {
        let mut fields = batch.schema.fields().clone();
        let mut names = None;
        if fields.iter().any(|field| field.name().contains('\0')) {
            names = Some(fields.iter().map(|field| field.name().clone()).collect());
            let cut = |field: &FieldRef| {
                let name = field.name().split('\0').next().unwrap_or_default().to_string();
                Field::clone(field).with_name(name)
            };
            fields = fields.iter().map(cut).collect();
        }
        let layout: Fields = batch
            .schema
            .fields()
            .iter()
            .zip(&batch.arrays)
            .map(|(field, array)| Field::new(field.name(), array.data_type().clone(), field.is_nullable()))
            .collect();
        let data = ArrayData::builder(DataType::Struct(layout))
            .len(batch.rows)
            .child_data(batch.arrays)
            .build()
            .map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        Ok(ArrowArray { data, field: Field::new("", DataType::Struct(fields), false), names })
    }
}

/// Run without the interpreter's lock; a panic becomes an error.
fn guarded<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    py.detach(|| catch_unwind(AssertUnwindSafe(work))).map_err(|panic| {
        let message = panic.downcast_ref::<&str>().map(|text| text.to_string());
        let message = message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        PyRuntimeError::new_err(format!("tailrace-core failed, which is a defect in it: {message}"))
    })
}

fn tag_of(name: &str) -> PyResult<Tag> {
    Tag::from_name(name.as_bytes()).ok_or_else(|| PyValueError::new_err(format!("{name:?} is no DynamoDB type")))
}

/// One stream of DynamoDB JSON lines, gzip'd or not.
#[pyclass]
struct Decoder {
    inner: decode::Decoder,
}

type RejectedLine<'py> = (u64, u64, &'static str, String, Bound<'py, PyBytes>, bool);
type SeenEntry = (String, &'static str, u64, Option<bool>, u32, u32);

#[pymethods]
impl Decoder {
    /// `schema`: (name, tag) of the key attributes. `ranges`: (name, tag, int64, whole_digits, scale) known beforehand.
    /// `plain`: what is pushed was inflated by the caller.
    #[new]
    fn new(
        order_prefix: &str,
        schema: Option<Vec<(String, String)>>,
        batch_bytes: usize,
        line_bytes_max: usize,
        ranges: Vec<(String, String, bool, u32, u32)>,
        plain: bool,
    ) -> PyResult<Self> {
        if order_prefix.len() >= ORDER_KEY_LENGTH {
            return Err(PyValueError::new_err("the order prefix leaves no room for a position"));
        }
        let mut inner = decode::Decoder::new(order_prefix.as_bytes(), batch_bytes, line_bytes_max);
        for (name, tag) in schema.into_iter().flatten() {
            inner.require_key(&name, tag_of(&tag)?);
        }
        for (name, tag, int64, whole_digits, scale) in ranges {
            inner.know(&name, tag_of(&tag)?, NumberRange { int64, whole_digits, scale });
        }
        if plain {
            inner.take_plain();
        }
        Ok(Decoder { inner })
    }

    /// Take more bytes; gives the batches that became full.
    fn push(&mut self, py: Python<'_>, data: &[u8]) -> PyResult<Vec<ArrowArray>> {
        let inner = &mut self.inner;
        batches(guarded(py, || inner.push(data))?)
    }

    /// The input has ended; gives what is left.
    fn finish(&mut self, py: Python<'_>) -> PyResult<Vec<ArrowArray>> {
        let inner = &mut self.inner;
        batches(guarded(py, || inner.finish())?)
    }

    /// Good lines so far.
    #[getter]
    fn rows(&self) -> u64 {
        self.inner.rows()
    }

    /// (name, tag, count, int64, whole_digits, scale); `int64` is None where there are no numbers.
    fn seen(&mut self) -> Vec<SeenEntry> {
        let entry = |seen: decode::Seen| {
            let range = seen.numbers.unwrap_or_default();
            let int64 = seen.numbers.map(|range| range.int64);
            (seen.name, seen.tag.name(), seen.count, int64, range.whole_digits, range.scale)
        };
        self.inner.seen().into_iter().map(entry).collect()
    }

    /// (line, offset, kind, reason, raw, cut)
    fn rejected<'py>(&self, py: Python<'py>) -> Vec<RejectedLine<'py>> {
        let line = |r: &decode::Rejected| (r.line, r.offset, r.kind, r.reason.clone(), PyBytes::new(py, &r.raw), r.cut);
        self.inner.rejected().iter().map(line).collect()
    }
}

fn batches(result: Result<Vec<Batch>, Corrupt>) -> PyResult<Vec<ArrowArray>> {
    let batches = result.map_err(|corrupt| CorruptError::new_err(corrupt.0))?;
    batches.into_iter().map(ArrowArray::of_batch).collect()
}

/// Numbers of the rows that survive. `table` speaks the Arrow C stream interface, the rest are column numbers.
#[pyfunction]
fn fold_latest(py: Python<'_>, table: &Bound<'_, PyAny>, keys: Vec<usize>, order: usize) -> PyResult<ArrowArray> {
    let batches = import(table)?;
    let survivors = guarded(py, || fold::fold_latest(&batches, &keys, order))?.map_err(|error| match error {
        FoldError::Conflict(first, second) => {
            let message = "Two different records have one key and one position";
            OrderConflictError::new_err((message, first, second))
        }
        FoldError::Unsupported(message) => PyValueError::new_err(message),
    })?;
    let data = UInt64Array::from(survivors).into_data();
    Ok(ArrowArray { data, field: Field::new("", DataType::UInt64, true), names: None })
}

fn import(table: &Bound<'_, PyAny>) -> PyResult<Vec<RecordBatch>> {
    let capsule = table.call_method0("__arrow_c_stream__")?;
    let capsule = capsule.cast::<PyCapsule>()?;
    let stream = capsule.pointer_checked(Some(c"arrow_array_stream"))?.cast::<FFI_ArrowArrayStream>();
    // SAFETY: a capsule of this name holds a stream; `from_raw` moves it out, and the capsule then releases nothing.
    let stream = unsafe { FFI_ArrowArrayStream::from_raw(stream.as_ptr()) };
    RecordBatchStreamReader::try_new(stream)
        .and_then(|reader| reader.collect())
        .map_err(|error| PyValueError::new_err(error.to_string()))
}

#[pymodule]
fn tailrace_core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("CONTRACT", CONTRACT)?;
    module.add("PROFILE", if cfg!(debug_assertions) { "debug" } else { "release" })?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("CorruptError", py.get_type::<CorruptError>())?;
    module.add("OrderConflictError", py.get_type::<OrderConflictError>())?;
    module.add_class::<Decoder>()?;
    module.add_class::<ArrowArray>()?;
    module.add_function(wrap_pyfunction!(fold_latest, module)?)
}
