//! Encodes what is shared in memory as if it were not: the engine keeps rows that its records state, too.

/// One.
pub(crate) mod one {
    use std::sync::Arc;

    use minicbor::decode::{Decode, Decoder, Error};
    use minicbor::encode::{self, Encode, Encoder, Write};

    pub(crate) fn encode<C, T: Encode<C>, W: Write>(
        one: &Arc<T>,
        encoder: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        (**one).encode(encoder, context)
    }

    pub(crate) fn decode<'b, C, T: Decode<'b, C>>(decoder: &mut Decoder<'b>, context: &mut C) -> Result<Arc<T>, Error> {
        T::decode(decoder, context).map(Arc::new)
    }
}

/// An optional one.
pub(crate) mod option {
    use std::sync::Arc;

    use minicbor::decode::{Decode, Decoder, Error};
    use minicbor::encode::{self, Encode, Encoder, Write};

    pub(crate) fn encode<C, T: Encode<C>, W: Write>(
        one: &Option<Arc<T>>,
        encoder: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        one.as_deref().encode(encoder, context)
    }

    pub(crate) fn decode<'b, C, T: Decode<'b, C>>(
        decoder: &mut Decoder<'b>,
        context: &mut C,
    ) -> Result<Option<Arc<T>>, Error> {
        Ok(Option::<T>::decode(decoder, context)?.map(Arc::new))
    }
}

/// A list of them.
pub(crate) mod list {
    use std::sync::Arc;

    use minicbor::decode::{Decode, Decoder, Error};
    use minicbor::encode::{self, Encode, Encoder, Write};

    pub(crate) fn encode<C, T: Encode<C>, W: Write>(
        list: &[Arc<T>],
        encoder: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        encoder.array(list.len() as u64)?;
        list.iter().try_for_each(|one| (**one).encode(encoder, context))
    }

    pub(crate) fn decode<'b, C, T: Decode<'b, C>>(
        decoder: &mut Decoder<'b>,
        context: &mut C,
    ) -> Result<Vec<Arc<T>>, Error> {
        Ok(Vec::<T>::decode(decoder, context)?.into_iter().map(Arc::new).collect())
    }
}
