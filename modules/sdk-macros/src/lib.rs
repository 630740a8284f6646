//! `#[derive(Command)]`: writes a command's contract and registers it.
//!
//! The derive has no grammar of its own. An option `cost = 5` of `#[license(…)]` becomes `.cost(5)` on the builder, and
//! a bare `none` becomes `.none()`; so the builders' documentation is the attributes' documentation, and the compiler
//! answers a misspelling at the author's own word.

use proc_macro::TokenStream;
use proc_macro2::{Span, TokenStream as Tokens};
use quote::{quote, quote_spanned};
use syn::{
    Attribute, DeriveInput, Error, Expr, ExprLit, Ident, Lit, LitInt, LitStr, Meta, Result, Token, Type,
    parse::{Parse, ParseStream},
    parse_macro_input,
    punctuated::Punctuated,
    spanned::Spanned,
};

/// Makes a message a command.
///
/// | attribute | says |
/// |---|---|
/// | a doc comment | the summary operators read; required |
/// | `#[command("tenancy.tenants.create", Tenancy -> Tenant)]` | id, module, answer; required |
/// | `#[access(…)]` | who may run it: the methods of `AccessBuilder`; required |
/// | `#[license(…)]` | what licensing asks: the methods of `LicenseDescriptorBuilder` |
/// | `#[http(POST "/api/…")]` | a route, any number of them; `=> 202` names the status of a success |
/// | `#[guard(POLICY)]` | the module's policy that stands before it |
#[proc_macro_derive(Command, attributes(command, access, license, http, guard))]
pub fn command(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

fn expand(input: &DeriveInput) -> Result<Tokens> {
    let sdk = sdk()?;
    let message = &input.ident;
    if let Some(parameter) = input.generics.params.first() {
        return Err(Error::new(parameter.span(), "a command is one message type, without parameters"));
    }
    let summary = summary(input)?;
    let Head { id, module, output } = required(input, "command", "name the command, its module and what it answers: `#[command(\"tenancy.tenants.create\", Tenancy -> Tenant)]`")?
        .parse_args()?;
    let access = required(
        input,
        "access",
        "say who may run it: `#[access(public)]`, `authenticated`, `permission = …` or `internal`",
    )?;

    // Each facet is built at the span of its attribute, so that the compiler points there when building it fails.
    let mut facets = Vec::new();
    let (at, options) = (sdk_at(&sdk, access.path().span()), access.parse_args::<Options>()?);
    let calls = options.calls();
    facets.push(quote_spanned! { access.path().span() =>
        const { &#at::descriptors::access::Access::builder() #calls .build() }
    });
    if let Some(license) = attribute(input, "license")? {
        let calls = match &license.meta {
            Meta::Path(_) => Tokens::new(),
            _ => license.parse_args::<Options>()?.calls(),
        };
        let (at, at_id) = (sdk_at(&sdk, license.path().span()), sdk_at(&sdk, id.span()));
        let key = quote_spanned! { id.span() =>
            #at_id::descriptors::descriptor::EntitlementKey::literal_of(
                <#module as #at_id::kernel::Module>::PRODUCT,
                #id,
            )
        };
        facets.push(quote_spanned! { license.path().span() =>
            const { &#at::descriptors::descriptor::LicenseDescriptor::builder(#key) #calls .build() }
        });
    }
    for http in input.attrs.iter().filter(|attribute| attribute.path().is_ident("http")) {
        let Route { method, path, status } = http.parse_args()?;
        let answering = status.map(|status| quote_spanned! { status.span() => .answering(#status) });
        let at = sdk_at(&sdk, path.span());
        facets.push(quote_spanned! { path.span() =>
            const { &#at::descriptors::route::HttpRoute::new(#at::descriptors::route::Method::#method, #path) #answering }
        });
    }
    if let Some(guard) = attribute(input, "guard")? {
        let policy: Expr = guard.parse_args()?;
        facets.push(
            quote! { const { &{ let policy: ::#sdk::descriptors::access::GuardedBy = #policy; policy } } },
        );
    }
    let at = sdk_at(&sdk, id.span());
    let command_id = quote_spanned! { id.span() => #at::kernel::CommandId::of::<#module>(#id) };

    Ok(quote! {
        #[automatically_derived]
        impl ::#sdk::kernel::Command for #message {
            type Module = #module;
            type Output = #output;
            const CONTRACT: ::#sdk::kernel::Contract = ::#sdk::kernel::Contract::of::<Self, #output>(
                #command_id,
                #summary,
                &[#(#facets),*],
            );
        }

        const _: () = {
            #[::#sdk::kernel::linkme::distributed_slice(::#sdk::kernel::COMMANDS)]
            #[linkme(crate = ::#sdk::kernel::linkme)]
            static REGISTRATION: ::#sdk::kernel::Registration = ::#sdk::kernel::Registration::of::<#message>();
        };
    })
}

/// `"tenancy.tenants.create", Tenancy -> Tenant`
struct Head {
    id: LitStr,
    module: Type,
    output: Type,
}

impl Parse for Head {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let id = input.parse()?;
        input.parse::<Token![,]>()?;
        let module = input.parse()?;
        input.parse::<Token![->]>()?;
        Ok(Self { id, module, output: input.parse()? })
    }
}

/// `POST "/api/tenants"`, or `POST "/api/tenants" => 201`
struct Route {
    method: Ident,
    path: LitStr,
    status: Option<LitInt>,
}

impl Parse for Route {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (method, path) = (input.parse()?, input.parse()?);
        let status = input.parse::<Option<Token![=>]>>()?.map(|_| input.parse()).transpose()?;
        Ok(Self { method, path, status })
    }
}

/// `permission = TENANTS_WRITE, aal = 2`: calls on a builder.
struct Options(Punctuated<BuilderOption, Token![,]>);

struct BuilderOption {
    name: Ident,
    value: Option<Expr>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        Punctuated::parse_terminated(input).map(Self)
    }
}

impl Parse for BuilderOption {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.parse()?;
        let value = input.parse::<Option<Token![=]>>()?.map(|_| input.parse()).transpose()?;
        Ok(Self { name, value })
    }
}

impl Options {
    fn calls(&self) -> Tokens {
        let calls = self.0.iter().map(|BuilderOption { name, value }| match value {
            None => quote_spanned! { name.span() => .#name() },
            Some(list @ Expr::Array(_)) => quote_spanned! { name.span() => .#name(&#list) },
            Some(value) => quote_spanned! { name.span() => .#name(#value) },
        });
        quote! { #(#calls)* }
    }
}

/// The first paragraph of the doc comment, as one line.
fn summary(input: &DeriveInput) -> Result<String> {
    let lines = input.attrs.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    let first: Vec<_> = lines.skip_while(String::is_empty).take_while(|line| !line.is_empty()).collect();
    let summary = first.join(" ");
    if summary.is_empty() {
        return Err(Error::new(
            input.ident.span(),
            format!(
                "say what `{}` does: the doc comment of a command is the summary operators read",
                input.ident
            ),
        ));
    }
    Ok(summary.trim_end_matches('.').to_owned())
}

fn required<'i>(input: &'i DeriveInput, name: &str, help: &str) -> Result<&'i Attribute> {
    attribute(input, name)?.ok_or_else(|| Error::new(input.ident.span(), help))
}

fn attribute<'i>(input: &'i DeriveInput, name: &str) -> Result<Option<&'i Attribute>> {
    let mut found = input.attrs.iter().filter(|attribute| attribute.path().is_ident(name));
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some(second) => Err(Error::new(second.span(), format!("`#[{name}(…)]` stands once"))),
    }
}

/// The name under which the author's crate knows the SDK.
fn sdk() -> Result<Ident> {
    use proc_macro_crate::{FoundCrate, crate_name};
    let name = match crate_name("chancery-sdk") {
        Ok(FoundCrate::Itself) => "chancery_sdk".to_owned(),
        Ok(FoundCrate::Name(name)) => name,
        Err(error) => return Err(Error::new(Span::call_site(), error)),
    };
    Ok(Ident::new(&name, Span::call_site()))
}

/// The SDK's path, written where `span` is.
fn sdk_at(sdk: &Ident, span: Span) -> Tokens {
    let sdk = Ident::new(&sdk.to_string(), span);
    quote_spanned! { span => ::#sdk }
}
