//! What a charge says of its end.

use crate::stripe::methods::Failure;

pub(super) fn outcome(failure: Option<Failure>) -> &'static str {
    match failure {
        None => concat!(
            r#"{"network_status":"approved_by_network","reason":null,"risk_level":"normal","risk_score":12,"#,
            r#""seller_message":"Payment complete.","type":"authorized"}"#
        ),
        Some(Failure::Fraudulent) => concat!(
            r#"{"network_status":"not_sent_to_network","reason":"highest_risk_level","risk_level":"highest","#,
            r#""risk_score":92,"seller_message":"The payment was blocked as too risky.","type":"blocked"}"#
        ),
        Some(Failure::GenericDecline) => concat!(
            r#"{"network_status":"declined_by_network","reason":"generic_decline","risk_level":"normal","risk_score":12,"#,
            r#""seller_message":"The bank did not say why it declined.","type":"issuer_declined"}"#
        ),
        Some(Failure::InsufficientFunds) => concat!(
            r#"{"network_status":"declined_by_network","reason":"insufficient_funds","risk_level":"normal","#,
            r#""risk_score":12,"seller_message":"The bank declined: insufficient funds.","type":"issuer_declined"}"#
        ),
        Some(Failure::ExpiredCard) => concat!(
            r#"{"network_status":"declined_by_network","reason":"expired_card","risk_level":"normal","#,
            r#""risk_score":12,"seller_message":"The bank declined: the card has expired.","type":"issuer_declined"}"#
        ),
        Some(Failure::IncorrectCvc) => concat!(
            r#"{"network_status":"declined_by_network","reason":"incorrect_cvc","risk_level":"normal","#,
            r#""risk_score":12,"seller_message":"The bank declined: incorrect security code.","type":"issuer_declined"}"#
        ),
        Some(Failure::LostCard) => concat!(
            r#"{"network_status":"declined_by_network","reason":"lost_card","risk_level":"normal","#,
            r#""risk_score":12,"seller_message":"The bank declined: the card was lost.","type":"issuer_declined"}"#
        ),
        Some(Failure::StolenCard) => concat!(
            r#"{"network_status":"declined_by_network","reason":"stolen_card","risk_level":"normal","#,
            r#""risk_score":12,"seller_message":"The bank declined: the card was stolen.","type":"issuer_declined"}"#
        ),
        Some(Failure::ProcessingError) => concat!(
            r#"{"network_status":"declined_by_network","reason":"processing_error","risk_level":"normal","#,
            r#""risk_score":12,"seller_message":"The bank declined: a processing error.","type":"issuer_declined"}"#
        ),
        Some(Failure::VelocityExceeded) => concat!(
            r#"{"network_status":"declined_by_network","reason":"card_velocity_exceeded","risk_level":"normal","#,
            r#""risk_score":12,"seller_message":"The bank declined: too often or too much.","type":"issuer_declined"}"#
        ),
        Some(Failure::AuthenticationRequired) => concat!(
            r#"{"network_status":"declined_by_network","reason":"authentication_required","risk_level":"normal","#,
            r#""risk_score":12,"seller_message":"The bank asks for authentication.","type":"issuer_declined"}"#
        ),
    }
}
