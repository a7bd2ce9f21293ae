//! What the types of a handler contribute to the description: its query, its body and its
//! reply. So a handler cannot serve what is not described.

use std::borrow::Cow;
use std::future::Future;

use axum::Json;
use axum::extract::State;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::AdminState;
use crate::body::MemberBody;
use crate::idempotency::{OnceReply, RepeatableRequest};
use crate::key::AuthenticatedOperator;
use crate::page::RequestQuery;
use crate::path_params::PathParams;
use crate::problem::AdminProblem;
use crate::view::NothingLeft;

/// The schema of a type, with the schemas that it needs.
#[derive(Clone, Copy)]
pub(crate) struct SchemaSource {
    pub(crate) name: fn() -> Cow<'static, str>,
    pub(crate) schema: fn() -> RefOr<Schema>,
    pub(crate) needed: fn(&mut Vec<(String, RefOr<Schema>)>),
}

impl SchemaSource {
    pub(crate) fn for_type<T: ToSchema>() -> Self {
        Self {
            name: T::name,
            schema: T::schema,
            needed: T::schemas,
        }
    }
}

/// What an operation accepts and returns.
#[derive(Clone, Copy, Default)]
pub(crate) struct OperationShape {
    /// The parameters of its query.
    pub(crate) query: Option<SchemaSource>,
    /// Its body.
    pub(crate) body: Option<SchemaSource>,
    /// The status of its reply.
    pub(crate) status: u16,
    /// The body of its reply.
    pub(crate) reply: Option<SchemaSource>,
    /// Whether it accepts an `Idempotency-Key`.
    pub(crate) once: bool,
}

/// An argument of a handler.
pub(crate) trait DescribedArgument {
    /// Adds what it accepts.
    fn describe(_shape: &mut OperationShape) {}
}

/// The reply of a handler.
pub(crate) trait DescribedReply {
    /// Adds what it returns.
    fn describe(shape: &mut OperationShape);
}

/// A handler whose arguments and reply are described.
pub(crate) trait DescribedHandler<A> {
    /// What it accepts and returns.
    fn shape() -> OperationShape;
}

impl DescribedArgument for State<AdminState> {}
impl DescribedArgument for AuthenticatedOperator {}
impl DescribedArgument for PathParams {}

impl<T: ToSchema> DescribedArgument for RequestQuery<T> {
    fn describe(shape: &mut OperationShape) {
        shape.query = Some(SchemaSource::for_type::<T>());
    }
}

impl<T: ToSchema> DescribedArgument for MemberBody<T> {
    fn describe(shape: &mut OperationShape) {
        shape.body = Some(SchemaSource::for_type::<T>());
    }
}

impl<T: ToSchema> DescribedArgument for RepeatableRequest<T> {
    fn describe(shape: &mut OperationShape) {
        shape.body = Some(SchemaSource::for_type::<T>());
        shape.once = true;
    }
}

impl<T: ToSchema> DescribedReply for Json<T> {
    fn describe(shape: &mut OperationShape) {
        shape.status = 200;
        shape.reply = Some(SchemaSource::for_type::<T>());
    }
}

impl<T: ToSchema, const STATUS: u16> DescribedReply for OnceReply<T, STATUS> {
    fn describe(shape: &mut OperationShape) {
        shape.status = STATUS;
        shape.reply = Some(SchemaSource::for_type::<T>());
    }
}

impl DescribedReply for NothingLeft {
    fn describe(shape: &mut OperationShape) {
        shape.status = 204;
    }
}

impl<T: DescribedReply> DescribedReply for Result<T, AdminProblem> {
    fn describe(shape: &mut OperationShape) {
        T::describe(shape);
    }
}

macro_rules! described {
    ($($argument:ident),+) => {
        impl<H, F, $($argument),+> DescribedHandler<($($argument,)+)> for H
        where
            H: Fn($($argument),+) -> F,
            F: Future,
            F::Output: DescribedReply,
            $($argument: DescribedArgument,)+
        {
            fn shape() -> OperationShape {
                let mut shape = OperationShape::default();
                $($argument::describe(&mut shape);)+
                F::Output::describe(&mut shape);
                shape
            }
        }
    };
}

described!(A);
described!(A, B);
described!(A, B, C);
described!(A, B, C, D);
