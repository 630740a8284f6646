//! The library through the real gates.

use library::{
    BOOKS_WRITE, LOANS, LOANS_WRITE, Library, LibraryError, RESERVATIONS,
    books::add::AddBook,
    loans::{lend::LendBook, reserve::ReserveBook},
};
use sdk::{
    kernel::{Fault, Line, Modules},
    prelude::Addition,
};
use testkit::{Reason, Testkit, reason};

fn library() -> Testkit {
    let mount =
        |store: &sdk::store::Store| Modules::none().mount(Library::new(store.clone(), Line::default()));
    Testkit::new(Library::MIGRATIONS, mount).permitted(BOOKS_WRITE).permitted(LOANS_WRITE).licensed("library")
}

fn add(title: &str) -> AddBook {
    AddBook { title: title.to_owned() }
}

fn lend(title: &str) -> LendBook {
    LendBook { title: title.to_owned(), reader: "ada".to_owned() }
}

#[tokio::test]
async fn a_book_is_lent_once() {
    let testkit = library().limiting(LOANS, 5);
    testkit.run(add("Emma")).await.unwrap();
    testkit.run(lend("Emma")).await.unwrap();
    let fault = testkit.run(lend("Emma")).await.unwrap_err();
    assert!(matches!(fault, Fault::Failed(LibraryError::NotThere(title)) if title == "Emma"));
}

#[tokio::test]
async fn loans_end_with_the_quota_and_a_failed_one_costs_nothing() {
    let testkit = library().limiting(LOANS, 1);
    testkit.run(add("Emma")).await.unwrap();
    testkit.run(add("Persuasion")).await.unwrap();
    testkit.run(lend("Sanditon")).await.unwrap_err();
    testkit.run(lend("Emma")).await.unwrap();
    let fault = testkit.run(lend("Persuasion")).await.unwrap_err();
    assert_eq!(reason(&fault), Some(Reason::QuotaExceeded));
}

#[tokio::test]
async fn reservations_are_sold_apart() {
    let wanted = || ReserveBook { title: "Emma".to_owned(), reader: "ben".to_owned() };
    let testkit = library();
    testkit.run(add("Emma")).await.unwrap();
    assert_eq!(reason(&testkit.run(wanted()).await.unwrap_err()), Some(Reason::CeilingExceeded));

    let testkit = library().featuring(RESERVATIONS);
    testkit.run(add("Emma")).await.unwrap();
    testkit.run(wanted()).await.unwrap();
}

testkit::every_command_is_described!(Library);
